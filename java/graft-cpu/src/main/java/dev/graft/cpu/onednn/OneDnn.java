package dev.graft.cpu.onednn;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** oneDNN on this machine's CPU. Owns the library's engine; the workers made from it must be closed before it. */
public final class OneDnn implements AutoCloseable {
    private static final Path LINUX_CPU_INFO = Path.of("/proc/cpuinfo");

    private long engine;
    private final String version;
    private final int isa;

    private OneDnn() {
        version = OneDnnApi.version();
        isa = OneDnnApi.effectiveCpuIsa();
        engine = OneDnnApi.createCpuEngine();
    }

    /**
     * Loads the library where that hasn't happened yet.
     *
     * @throws OneDnnException if there is none for this platform, or it cannot be loaded; the message says why
     */
    public static OneDnn open() {
        try {
            OneDnnLibrary.load();
            return new OneDnn();
        } catch (IOException | IllegalArgumentException | LinkageError | IllegalCallerException failed) {
            throw new OneDnnException("oneDNN cannot be loaded: " + failed.getMessage(), failed);
        }
    }

    /** A worker for one thread. */
    public OneDnnWorker newWorker() {
        if (engine == 0) {
            throw new IllegalStateException("oneDNN is closed");
        }
        return new OneDnnWorker(engine);
    }

    /** For instance {@code 3.13.0}. */
    public String version() {
        return version;
    }

    /** Whether the CPU multiplies bf16 in hardware; without, oneDNN emulates it at a fraction of f32's speed. */
    public boolean hasBf16Instructions() {
        String processor = System.getProperty("os.arch");
        if (processor.equals("aarch64")) {
            return linuxCpuHas("bf16");
        }
        // each instruction set is a bit mask that contains those it builds on
        return (isa & OneDnnApi.ISA_AVX512_BF16) == OneDnnApi.ISA_AVX512_BF16
                || (isa & OneDnnApi.ISA_AVX2_VNNI_2) == OneDnnApi.ISA_AVX2_VNNI_2;
    }

    private static boolean linuxCpuHas(String feature) {
        try (var lines = Files.lines(LINUX_CPU_INFO)) {
            return lines.filter(line -> line.startsWith("Features"))
                    .anyMatch(line -> (" " + line + " ").contains(" " + feature + " "));
        } catch (IOException notLinux) {
            return false;
        }
    }

    @Override
    public void close() {
        OneDnnApi.destroyEngine(engine);
        engine = 0;
    }
}
