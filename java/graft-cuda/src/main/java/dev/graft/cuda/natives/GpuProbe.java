package dev.graft.cuda.natives;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Asks the NVIDIA driver, if there is one, for its devices: without JCuda, and letting go of the driver's library afterwards, so
 * that looking commits a process to nothing.
 */
public final class GpuProbe {
    /** What kernels with bf16 tensor cores need: Ampere. */
    public static final int LEAST_CAPABILITY = 80;

    private static final String DRIVER = "libcuda.so.1";
    private static final int CAPABILITY_MAJOR = 75;
    private static final int CAPABILITY_MINOR = 76;

    private GpuProbe() {}

    /**
     * A device.
     *
     * @param capability 90 for compute capability 9.0
     */
    public record Gpu(int ordinal, String name, int capability, long memoryBytes) {
        /** Whether the kernels can run on it. */
        public boolean isUsable() {
            return capability >= LEAST_CAPABILITY;
        }
    }

    /**
     * The outcome.
     *
     * @param problem why there are none, in one line; empty where there are
     */
    public record Result(List<Gpu> gpus, String problem) {
        private static Result none(String problem) {
            return new Result(List.of(), problem);
        }
    }

    /** All devices of this machine. */
    public static Result devices() {
        if (!NativeFiles.isSupportedSystem()) {
            return Result.none("the CUDA engine runs on Linux x86-64 only");
        }
        try (Arena arena = Arena.ofConfined()) {
            SymbolLookup driver;
            try {
                driver = SymbolLookup.libraryLookup(DRIVER, arena);
            } catch (IllegalArgumentException missing) {
                return Result.none("no NVIDIA driver (" + DRIVER + " is not installed)");
            }
            return new Driver(driver, arena).devices();
        }
    }

    private record Driver(SymbolLookup library, Arena arena) {
        Result devices() {
            int status = call("cuInit", List.of(JAVA_INT), 0);
            if (status != 0) {
                return Result.none("the NVIDIA driver does not start (cuInit: error " + status
                        + (status == 100 ? ", no device" : "") + "); see nvidia-smi");
            }
            MemorySegment number = arena.allocate(JAVA_INT);
            if (call("cuDeviceGetCount", List.of(ADDRESS), number) != 0 || number.get(JAVA_INT, 0) == 0) {
                return Result.none("the NVIDIA driver has no device");
            }
            List<Gpu> gpus = new ArrayList<>();
            int count = number.get(JAVA_INT, 0);
            for (int ordinal = 0; ordinal < count; ordinal++) {
                MemorySegment name = arena.allocate(256);
                MemorySegment bytes = arena.allocate(8, 8);
                call("cuDeviceGetName", List.of(ADDRESS, JAVA_INT, JAVA_INT), name, 256, ordinal);
                call("cuDeviceTotalMem_v2", List.of(ADDRESS, JAVA_INT), bytes, ordinal);
                gpus.add(new Gpu(
                        ordinal,
                        name.getString(0, StandardCharsets.US_ASCII),
                        10 * attribute(CAPABILITY_MAJOR, ordinal) + attribute(CAPABILITY_MINOR, ordinal),
                        bytes.get(JAVA_LONG, 0)));
            }
            return new Result(gpus, "");
        }

        private int attribute(int attribute, int ordinal) {
            MemorySegment value = arena.allocate(JAVA_INT);
            call("cuDeviceGetAttribute", List.of(ADDRESS, JAVA_INT, JAVA_INT), value, attribute, ordinal);
            return value.get(JAVA_INT, 0);
        }

        /** Calls a function that returns a CUresult; devices are numbers. */
        private int call(String name, List<MemoryLayout> parameters, Object... arguments) {
            FunctionDescriptor type = FunctionDescriptor.of(JAVA_INT, parameters.toArray(MemoryLayout[]::new));
            MethodHandle function = Linker.nativeLinker().downcallHandle(library.findOrThrow(name), type);
            try {
                return (int) function.invokeWithArguments(arguments);
            } catch (Throwable thrown) {
                throw new IllegalStateException(name + " could not be called", thrown);
            }
        }
    }
}
