package dev.graft.cli.run;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ctrl-C and {@code kill} while a run is under way: the first asks it to stop in good order, the second ends the program at once.
 * Where the JVM has no signals to offer (or was started with {@code -Xrs}) both end it at once, as they do in any Java program.
 *
 * <p>By reflection, since {@code sun.misc.Signal}, the only way, cannot be named without a compiler warning.
 */
public final class Interrupts implements AutoCloseable {
    /** Exit code of an interrupted program: 128 + SIGINT. */
    public static final int EXIT_CODE = 130;

    private static final Logger log = LoggerFactory.getLogger(Interrupts.class);
    private static final String[] SIGNALS = {"INT", "TERM"};

    private final AtomicBoolean interrupted = new AtomicBoolean();
    private final Map<Object, Object> previousHandlers = new LinkedHashMap<>();
    private final Runnable onFirst;

    private Interrupts(Runnable onFirst) {
        this.onFirst = onFirst;
    }

    /** Runs {@code onFirst}, on a thread of its own, at the first signal until closed. */
    public static Interrupts handle(Runnable onFirst) {
        Interrupts interrupts = new Interrupts(onFirst);
        for (String signal : SIGNALS) {
            interrupts.install(signal);
        }
        return interrupts;
    }

    private void install(String name) {
        try {
            Class<?> handlerType = Class.forName("sun.misc.SignalHandler");
            Object signal = Class.forName("sun.misc.Signal")
                    .getConstructor(String.class)
                    .newInstance(name);
            Object handler = Proxy.newProxyInstance(
                    handlerType.getClassLoader(), new Class<?>[] {handlerType}, (proxy, method, arguments) -> {
                        return switch (method.getName()) {
                            case "handle" -> received();
                            case "equals" -> proxy == arguments[0];
                            case "hashCode" -> System.identityHashCode(proxy);
                            default -> "graft's handler of SIG" + name;
                        };
                    });
            previousHandlers.put(signal, set(signal, handler));
        } catch (ReflectiveOperationException | IllegalArgumentException e) {
            log.debug("SIG{} is left to the JVM", name, e);
        }
    }

    private @Nullable Object received() {
        if (interrupted.getAndSet(true)) {
            Runtime.getRuntime().halt(EXIT_CODE);
        }
        onFirst.run();
        return null;
    }

    private static Object set(Object signal, Object handler) throws ReflectiveOperationException {
        Method handle =
                signal.getClass().getMethod("handle", signal.getClass(), Class.forName("sun.misc.SignalHandler"));
        try {
            return handle.invoke(null, signal, handler);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof IllegalArgumentException refused) {
                throw refused;
            }
            throw e;
        }
    }

    /** Gives the signals back to whom they belonged. */
    @Override
    public void close() {
        previousHandlers.forEach((signal, handler) -> {
            try {
                set(signal, handler);
            } catch (ReflectiveOperationException | IllegalArgumentException e) {
                log.debug("{} keeps its handler", signal, e);
            }
        });
        previousHandlers.clear();
    }
}
