package dev.graft.engine.profile;

import dev.graft.engine.Engine;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import org.jspecify.annotations.Nullable;

/** Who is told of every call of an engine, and makes it. */
@FunctionalInterface
public interface EngineCalls {
    /** The call itself: what it returns or throws is what the engine did. */
    @FunctionalInterface
    interface Call {
        @Nullable
        Object make() throws Throwable;
    }

    /**
     * Makes a call, or does something else in its place.
     *
     * @param arguments null where there are none
     * @return what the caller gets
     */
    @Nullable
    Object around(Method method, Object @Nullable [] arguments, Call call) throws Throwable;

    /** {@code engine}, all calls of which go through {@code calls}. */
    static Engine through(EngineCalls calls, Engine engine) {
        return (Engine) Proxy.newProxyInstance(
                Engine.class.getClassLoader(),
                new Class<?>[] {Engine.class},
                (proxy, method, arguments) -> calls.around(method, arguments, () -> {
                    try {
                        return method.invoke(engine, arguments);
                    } catch (InvocationTargetException thrown) {
                        throw thrown.getCause();
                    }
                }));
    }
}
