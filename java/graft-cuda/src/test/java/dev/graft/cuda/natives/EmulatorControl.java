package dev.graft.cuda.natives;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/**
 * What tests tell the emulated device and ask of it: {@code native/emulator/control.h}, bound to the emulated driver that the
 * engine of this process uses (a file loaded twice is one library).
 */
public final class EmulatorControl {
    /** What can be made to fail, in the order of the header's numbers. */
    public enum Kind {
        ALLOCATION,
        LAUNCH,
        COPY,
        PINNED_ALLOCATION,
        MAPPING
    }

    /** Handles that are counted, in the order of the header's numbers. */
    public enum Handle {
        STREAM,
        EVENT,
        CONTEXT,
        CUBLAS,
        MAPPED_MEMORY
    }

    private final SymbolLookup driver;

    private EmulatorControl(SymbolLookup driver) {
        this.driver = driver;
    }

    /** Only where the emulator was built, and in a process that uses no GPU. */
    public static EmulatorControl open() {
        try {
            return new EmulatorControl(SymbolLookup.libraryLookup(
                    NativeFiles.file(CudaPlatform.EMULATED, NativeFiles.EMULATED_DRIVER), Arena.global()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Object call(String name, MemoryLayout result, Object... arguments) {
        MemoryLayout[] parameters = new MemoryLayout[arguments.length];
        for (int i = 0; i < arguments.length; i++) {
            parameters[i] = arguments[i] instanceof Long ? JAVA_LONG : JAVA_INT;
        }
        FunctionDescriptor type =
                result == null ? FunctionDescriptor.ofVoid(parameters) : FunctionDescriptor.of(result, parameters);
        MethodHandle function =
                Linker.nativeLinker().downcallHandle(driver.findOrThrow("graft_emulator_" + name), type);
        try {
            return function.invokeWithArguments(arguments);
        } catch (Throwable thrown) {
            throw new IllegalStateException(name + " could not be called", thrown);
        }
    }

    private void tell(String name, Object... arguments) {
        call(name, null, arguments);
    }

    private void order(String name, Object... arguments) {
        assertThat((int) call(name, JAVA_INT, arguments)).as(name).isZero();
    }

    private long ask(String name, Object... arguments) {
        return (long) call(name, JAVA_LONG, arguments);
    }

    /** Settings, counters, faults to come and the context's error as at the start; protections are lifted. */
    public void reset() {
        tell("reset");
    }

    /** Whether threads, warps and blocks run from the last to the first. */
    public void setDescending(boolean descending) {
        tell("set_descending", descending ? 1 : 0);
    }

    /** Whether launches on a stream that is not the oldest are put off until somebody waits for them. */
    public void setLate(boolean late) {
        tell("set_late", late ? 1 : 0);
    }

    /** Threads of the operating system that run the blocks of a launch. */
    public void setWorkers(int count) {
        tell("set_workers", count);
    }

    /** Makes the device one of compute capability 9.0, with as much shared memory. */
    public void becomeHopper() {
        setCapability(90);
        tell("set_shared_bytes", 227L << 10);
    }

    /** The compute capability: 89 for 8.9. */
    public void setCapability(int capability) {
        tell("set_capability", capability);
    }

    public void setDeviceBytes(long bytes) {
        tell("set_device_bytes", bytes);
    }

    /** Whether memory is looked after at each launch, product and copy. */
    public void setVerify(boolean verify) {
        tell("set_verify", verify ? 1 : 0);
    }

    /** Whether a launch that fails is found out by a later call that waits. */
    public void setAsynchronousFailures(boolean asynchronous) {
        tell("set_asynchronous_failures", asynchronous ? 1 : 0);
    }

    /** The n-th operation of a kind from now on fails, once. */
    public void fail(Kind kind, long nth) {
        order("fail", kind.ordinal(), nth);
    }

    /** Operations of a kind since the last reset. */
    public long count(Kind kind) {
        return ask("count", kind.ordinal());
    }

    /** Bytes of device memory that are not freed. */
    public long liveBytes() {
        return ask("live_bytes");
    }

    /** Allocations of device memory that are not freed. */
    public long liveAllocations() {
        return ask("live_allocations");
    }

    public long livePinnedBytes() {
        return ask("live_pinned_bytes");
    }

    public long liveHandles(Handle kind) {
        return ask("live_handles", kind.ordinal());
    }

    /** Declares device memory read-only. */
    public void protect(long address, long bytes) {
        order("protect", address, bytes);
    }

    /** Fails where anything was written that should not be, or a kernel went wrong, since the last reset. */
    public void assertNothingViolated() {
        int status = (int) call("check", JAVA_INT);
        assertThat(status + ask("violations")).as(lastViolation()).isZero();
    }

    /** The text of the last violation, empty where there was none. */
    public String lastViolation() {
        MemorySegment text = (MemorySegment) call("last_violation", ADDRESS);
        return text.reinterpret(Long.MAX_VALUE).getString(0);
    }

    /** Fails where an engine that was closed left anything behind. */
    public void assertNothingAlive() {
        assertThat(liveBytes()).as("bytes of device memory").isZero();
        assertThat(liveAllocations()).as("allocations of device memory").isZero();
        assertThat(livePinnedBytes()).as("bytes of pinned memory").isZero();
        for (Handle kind : Handle.values()) {
            assertThat(liveHandles(kind)).as(kind + " handles").isZero();
        }
    }
}
