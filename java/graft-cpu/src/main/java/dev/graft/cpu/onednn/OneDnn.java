package dev.graft.cpu.onednn;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** oneDNN on this machine's CPU. Owns the library's engine; the workers made from it must be closed before it. */
public final class OneDnn implements AutoCloseable {
    private static final Path LINUX_CPU_INFO = Path.of("/proc/cpuinfo");

    private long engine;
    private final String version;
    private final int isa;
    private final boolean bf16;
    private final boolean bf16Fast;

    private OneDnn() {
        version = OneDnnApi.version();
        isa = OneDnnApi.effectiveCpuIsa();
        bf16 = findBf16();
        bf16Fast = findBf16Fast();
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
        return bf16;
    }

    /**
     * Whether bf16 instructions do more multiply-adds in a second than f32 ones. Intel's do with AMX only: VDPBF16PS does half as
     * many there.
     */
    public boolean isBf16Fast() {
        return bf16Fast;
    }

    private boolean findBf16() {
        if (isArm()) {
            return cpuInfoHas("Features", "bf16");
        }
        return has(OneDnnApi.ISA_AVX512_BF16) || has(OneDnnApi.ISA_AVX2_VNNI_2);
    }

    private boolean findBf16Fast() {
        return bf16 && (isArm() || has(OneDnnApi.ISA_AVX512_AMX) || !isIntel());
    }

    /** An instruction set is a bit mask that contains those it builds on. */
    private boolean has(int instructions) {
        return (isa & instructions) == instructions;
    }

    private static boolean isArm() {
        return System.getProperty("os.arch").equals("aarch64");
    }

    private static boolean isIntel() {
        String onWindows = System.getenv("PROCESSOR_IDENTIFIER");
        return onWindows != null ? onWindows.contains("GenuineIntel") : cpuInfoHas("vendor_id", "GenuineIntel");
    }

    private static boolean cpuInfoHas(String field, String word) {
        try (var lines = Files.lines(LINUX_CPU_INFO)) {
            return lines.filter(line -> line.startsWith(field))
                    .anyMatch(line -> (line + " ").contains(" " + word + " "));
        } catch (IOException | UncheckedIOException notLinux) {
            return false;
        }
    }

    @Override
    public void close() {
        OneDnnApi.destroyEngine(engine);
        engine = 0;
    }
}
