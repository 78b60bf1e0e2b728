package dev.graft.cuda;

import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.engine.Engine;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import org.jspecify.annotations.Nullable;

/**
 * An engine on the emulator under the conformance tests. They make every call twice, with operands uploaded before each, and compare
 * the bits: each time that something is uploaded after results were downloaded, threads, warps and blocks change from running first
 * to last to last to first or back, so that a kernel that misses a barrier gives two results. When the engine is closed, nothing may
 * have been written outside of the memory that was given out.
 */
final class WatchedEngine implements InvocationHandler {
    private final Engine engine;
    private final EmulatorControl control;
    private boolean downloaded;
    private boolean descending;

    private WatchedEngine(Engine engine, EmulatorControl control) {
        this.engine = engine;
        this.control = control;
    }

    static Engine over(Engine engine, EmulatorControl control) {
        return (Engine) Proxy.newProxyInstance(
                Engine.class.getClassLoader(), new Class<?>[] {Engine.class}, new WatchedEngine(engine, control));
    }

    @Override
    public @Nullable Object invoke(Object proxy, Method method, Object @Nullable [] arguments) throws Throwable {
        if (downloaded && method.getName().equals("upload")) {
            descending = !descending;
            control.setDescending(descending);
            downloaded = false;
        }
        Object result;
        try {
            result = method.invoke(engine, arguments);
        } catch (InvocationTargetException thrown) {
            throw thrown.getCause();
        }
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
