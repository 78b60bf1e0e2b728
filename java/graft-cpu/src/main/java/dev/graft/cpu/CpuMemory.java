package dev.graft.cpu;

import com.sun.management.OperatingSystemMXBean;
import dev.graft.common.InputException;
import dev.graft.tensor.HostMemory;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/** Native memory of the CPU engine: zeroed, on 64-byte boundaries, freed when closed. */
public final class CpuMemory {
    private static final long ALIGNMENT = 64;
    private static final long NEGLIGIBLE = 1 << 20;
    private static final AtomicLong LIVE_BYTES = new AtomicLong();

    private CpuMemory() {}

    /** Bytes allocated and not yet freed. */
    public static long liveBytes() {
        return LIVE_BYTES.get();
    }

    /**
     * Zeroed memory.
     *
     * @throws InputException where the machine has less than that
     */
    public static HostMemory allocate(long bytes) {
        if (bytes < 0) {
            throw new IllegalArgumentException("cannot allocate " + bytes + " bytes");
        }
        // Linux promises more memory than it has and kills whoever uses it: look first
        if (bytes > NEGLIGIBLE && bytes > availableBytes()) {
            throw outOfMemory(bytes);
        }
        Arena arena = Arena.ofShared();
        MemorySegment segment;
        try {
            segment = arena.allocate(bytes, ALIGNMENT);
        } catch (OutOfMemoryError refused) {
            arena.close();
            throw outOfMemory(bytes);
        }
        LIVE_BYTES.addAndGet(bytes);
        AtomicBoolean open = new AtomicBoolean(true);
        return new HostMemory(segment, () -> {
            if (open.compareAndSet(true, false)) {
                arena.close();
                LIVE_BYTES.addAndGet(-bytes);
            }
        });
    }

    private static InputException outOfMemory(long bytes) {
        return new InputException("out of memory: " + bytes + " bytes asked for, " + availableBytes()
                + " available; use a smaller batch or shorter sequences");
    }

    /** Bytes that could be allocated without swapping: the least of what the machine and the control group have left. */
    public static long availableBytes() {
        return Math.min(machineBytes(), controlGroupBytes());
    }

    private static long machineBytes() {
        try {
            long kibibytes = field(Path.of("/proc/meminfo"), "MemAvailable:");
            if (kibibytes > 0) {
                return kibibytes * 1024;
            }
        } catch (IOException | NumberFormatException notLinux) {
            // asked below in another way
        }
        var system = ManagementFactory.getOperatingSystemMXBean();
        return system instanceof OperatingSystemMXBean bean ? bean.getFreeMemorySize() : Long.MAX_VALUE;
    }

    /** What the memory controller of a container leaves, v2 or v1; no limit where there is none. */
    private static long controlGroupBytes() {
        Path root = Path.of("/sys/fs/cgroup");
        Path v1 = root.resolve("memory");
        return Math.min(
                left(root.resolve("memory.max"), root.resolve("memory.current"), root.resolve("memory.stat")),
                left(
                        v1.resolve("memory.limit_in_bytes"),
                        v1.resolve("memory.usage_in_bytes"),
                        v1.resolve("memory.stat")));
    }

    private static long left(Path limit, Path usage, Path statistics) {
        try {
            long most = Long.parseLong(Files.readString(limit).strip());
            long used = Long.parseLong(Files.readString(usage).strip());
            return Math.max(0, most - used + field(statistics, "inactive_file ")); // cached file pages give way
        } catch (IOException | NumberFormatException none) { // no such file, or "max"
            return Long.MAX_VALUE;
        }
    }

    private static long field(Path file, String name) throws IOException {
        for (String line : Files.readAllLines(file)) {
            if (line.startsWith(name)) {
                return Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        return 0;
    }
}
