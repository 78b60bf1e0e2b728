package dev.graft.cpu;

import dev.graft.common.InputException;
import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineProvider;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Offers {@link CpuEngine}, which works everywhere. */
public final class CpuEngineProvider implements EngineProvider {
    /** System property with the number of threads; the default is one per processor. */
    public static final String THREADS_PROPERTY = "graft.threads";

    /** Environment variable with the same meaning; the property goes first. */
    public static final String THREADS_VARIABLE = "GRAFT_THREADS";

    private static final String VECTOR_MODULE = "jdk.incubator.vector";

    @Override
    public String name() {
        return CpuEngine.NAME;
    }

    @Override
    public int priority() {
        return 0;
    }

    @Override
    public Optional<String> unavailableReason() {
        return ModuleLayer.boot().findModule(VECTOR_MODULE).isPresent()
                ? Optional.empty()
                : Optional.of("the Java Vector API is switched off; start Java with --add-modules=" + VECTOR_MODULE);
    }

    /** @throws InputException where the number of threads is not a positive number */
    @Override
    public Engine open(int sharedRanks) {
        String property = System.getProperty(THREADS_PROPERTY);
        int threads = property != null
                ? threads(THREADS_PROPERTY, property)
                : threads(THREADS_VARIABLE, System.getenv(THREADS_VARIABLE));
        return new CpuEngine(new WorkerPool(threads));
    }

    static int threads(String source, @Nullable String value) {
        if (value == null || value.isBlank()) {
            return Runtime.getRuntime().availableProcessors();
        }
        try {
            int threads = Integer.parseInt(value.strip());
            if (threads >= 1) {
                return threads;
            }
        } catch (NumberFormatException noNumber) {
            // refused below
        }
        throw new InputException(source + "=" + value + ": not a number of threads; give 1 or more, or leave it out");
    }
}
