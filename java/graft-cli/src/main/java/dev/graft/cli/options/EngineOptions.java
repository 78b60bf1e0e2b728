package dev.graft.cli.options;

import dev.graft.common.InputException;
import dev.graft.cpu.CpuEngineProvider;
import dev.graft.engine.Engine;
import dev.graft.engine.Engines;
import dev.graft.train.Method;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which hardware computes. */
public final class EngineOptions {
    @Option(
            names = "--engine",
            paramLabel = "NAME",
            defaultValue = Engines.AUTO,
            description = "auto, cpu, cuda or cuda-emulated (default: auto, the fastest that works here).")
    private String engine = Engines.AUTO;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "CPU threads (default: one per processor, or GRAFT_THREADS).")
    private @Nullable Integer threads;

    /** Opens the engine asked for. */
    public Engine open() {
        return open(0);
    }

    /** The same, with room for what {@code method} trains. */
    public Engine open(Method method) {
        return open(method.sharedRanks());
    }

    private Engine open(int sharedRanks) {
        if (threads == null) {
            return Engines.open(engine, sharedRanks);
        }
        if (threads < 1) {
            throw new InputException("--threads " + threads + ": must be at least 1");
        }
        String before = System.getProperty(CpuEngineProvider.THREADS_PROPERTY);
        System.setProperty(CpuEngineProvider.THREADS_PROPERTY, threads.toString());
        try {
            return Engines.open(engine, sharedRanks);
        } finally {
            if (before == null) {
                System.clearProperty(CpuEngineProvider.THREADS_PROPERTY);
            } else {
                System.setProperty(CpuEngineProvider.THREADS_PROPERTY, before);
            }
        }
    }
}
