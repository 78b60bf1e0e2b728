package dev.graft.cuda;

import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.engine.Engine;
import dev.graft.engine.profile.EngineCalls;
import java.lang.reflect.Method;
import org.jspecify.annotations.Nullable;

/**
 * An engine on the emulator under the conformance tests. They make every call twice, with operands uploaded before each, and compare
 * the bits: each time that something is uploaded after results were downloaded, threads, warps and blocks change from running first
 * to last to last to first or back, so that a kernel that misses a barrier gives two results. When the engine is closed, nothing may
 * have been written outside of the memory that was given out.
 */
final class WatchedEngine implements EngineCalls {
    private final EmulatorControl control;
    private boolean downloaded;
    private boolean descending;

    private WatchedEngine(EmulatorControl control) {
        this.control = control;
    }

    static Engine over(Engine engine, EmulatorControl control) {
        return EngineCalls.through(new WatchedEngine(control), engine);
    }

    @Override
    public @Nullable Object around(Method method, Object @Nullable [] arguments, Call call) throws Throwable {
        if (downloaded && method.getName().equals("upload")) {
            descending = !descending;
            control.setDescending(descending);
            downloaded = false;
        }
        Object result = call.make();
        switch (method.getName()) {
            case "download" -> downloaded = true;
            case "close" -> {
                control.assertNothingViolated();
                control.reset();
            }
            default -> {
                // an operation
            }
        }
        return result;
    }
}
