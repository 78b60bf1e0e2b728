package dev.graft.benchmarks.gpu;

import dev.graft.engine.Engine;
import dev.graft.engine.profile.EngineCalls;
import java.lang.reflect.Method;
import java.util.Set;
import org.jspecify.annotations.Nullable;

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
        return EngineCalls.through(this::time, engine);
    }

    private @Nullable Object time(Method method, Object @Nullable [] arguments, EngineCalls.Call call)
            throws Throwable {
        long start = System.nanoTime();
        try {
            return call.make();
        } finally {
            if (!WAITING.contains(method.getName())) {
                nanos += System.nanoTime() - start;
            }
        }
    }
}
