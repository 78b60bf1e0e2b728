package dev.graft.benchmarks.gpu;

import dev.graft.engine.Engine;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Set;

/**
 * The host's share of a step: how long Java, JCuda and the driver take to hand its work to the GPU. Where that is little beside the
 * step, the GPU never waits for it, and replaying the step as a CUDA graph could save nothing.
 */
final class EnqueueTime {
    /** Calls that wait for the GPU. */
    private static final Set<String> WAITING = Set.of("download", "fingerprint");

    private long nanos;

    /** Forgets what was counted. */
    void reset() {
        nanos = 0;
    }

    double millis() {
        return nanos / 1e6;
    }

    /** {@code engine}, with its calls timed. Closing it closes {@code engine}. */
    Engine wrap(Engine engine) {
        return (Engine) Proxy.newProxyInstance(
                Engine.class.getClassLoader(),
                new Class<?>[] {Engine.class},
                (proxy, method, arguments) -> call(engine, method, arguments));
    }

    private Object call(Engine engine, Method method, Object[] arguments) throws Throwable {
        long start = System.nanoTime();
        try {
            return method.invoke(engine, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        } finally {
            if (!WAITING.contains(method.getName())) {
                nanos += System.nanoTime() - start;
            }
        }
    }
}
