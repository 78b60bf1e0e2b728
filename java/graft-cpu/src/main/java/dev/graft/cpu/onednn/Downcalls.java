package dev.graft.cpu.onednn;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/** What the calls of {@link OneDnnApi} have in common: finding functions, out-parameters, status codes. */
final class Downcalls {
    private static final Linker LINKER = Linker.nativeLinker();
    private static final SymbolLookup LIBRARY = library();

    /** dnnl_status_t, in words. */
    private static final String[] STATUS = {
        "success",
        "out of memory",
        "invalid arguments",
        "not implemented",
        "no further implementation",
        "run-time error",
        "not required",
        "invalid graph",
        "invalid graph operation",
        "invalid shape",
        "invalid data type"
    };

    private Downcalls() {}

    /** A call that writes a pointer to {@code out} and returns a dnnl_status_t. */
    @FunctionalInterface
    interface Creation {
        int run(MemorySegment out) throws Throwable;
    }

    private static SymbolLookup library() {
        try {
            return OneDnnLibrary.load();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static MethodHandle handle(String name, FunctionDescriptor type) {
        return LINKER.downcallHandle(LIBRARY.findOrThrow(name), type);
    }

    /** For functions that return within nanoseconds: the call skips the bookkeeping that lets a garbage collection go on. */
    static MethodHandle shortHandle(String name, FunctionDescriptor type) {
        return LINKER.downcallHandle(LIBRARY.findOrThrow(name), type, Linker.Option.critical(false));
    }

    /** For {@code dnnl_status_t name(dnnl_some_t object)}. */
    static MethodHandle onHandle(String name) {
        return handle(name, FunctionDescriptor.of(JAVA_INT, JAVA_LONG));
    }

    /** For {@code dnnl_status_t name(dnnl_some_t object, int value)}. */
    static MethodHandle intSetter(String name) {
        return handle(name, FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT));
    }

    /** The pointer that {@code call} writes. */
    static long create(String name, Creation call) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ADDRESS);
            int status;
            try {
                status = call.run(out);
            } catch (Throwable thrown) {
                throw unexpected(thrown);
            }
            check(name, status);
            return out.get(JAVA_LONG, 0);
        }
    }

    /** Calls {@code function}, made by {@link #onHandle}; 0 is nobody's object and left alone. */
    static void destroy(String name, MethodHandle function, long object) {
        if (object == 0) {
            return;
        }
        int status;
        try {
            status = (int) function.invokeExact(object);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
        check(name, status);
    }

    /** Calls {@code function}, made by {@link #intSetter}. */
    static void set(String name, MethodHandle function, long object, int value) {
        int status;
        try {
            status = (int) function.invokeExact(object, value);
        } catch (Throwable thrown) {
            throw unexpected(thrown);
        }
        check(name, status);
    }

    static void check(String name, int status) {
        if (status != 0) {
            String words = status > 0 && status < STATUS.length ? STATUS[status] : "unknown status";
            throw new OneDnnException(name + ": " + words + " (" + status + ")");
        }
    }

    /** The linker's handles throw nothing but errors of the virtual machine. */
    static RuntimeException unexpected(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        return new IllegalStateException("a native call failed before it began", thrown);
    }
}
