package dev.graft.engine;

import dev.graft.common.InputException;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds and opens engines. An engine asked for by name never falls back to another. */
public final class Engines {
    /** The fastest engine that works here. */
    public static final String AUTO = "auto";

    private static final Logger log = LoggerFactory.getLogger(Engines.class);

    private Engines() {}

    /** All engines on the class path, the preferred one first. */
    public static List<EngineProvider> providers() {
        return ServiceLoader.load(EngineProvider.class).stream()
                .map(ServiceLoader.Provider::get)
                .sorted(Comparator.comparingInt(EngineProvider::priority).reversed())
                .toList();
    }

    /** As {@link #open(String, int)}, for adapters of small ranks or none. */
    public static Engine open(String name) {
        return open(name, 0);
    }

    /**
     * Opens an engine.
     *
     * @param name an engine's name, or {@link #AUTO}, which says in one log line what was chosen and why
     * @param sharedRanks of the adapters to come those that read the same input, summed: 3 r where q, k and v each have rank r. An
     *     engine may lay its buffers out for it ({@link BufferLayout#border}); larger ones work too, only slower
     * @throws InputException where there is no such engine or it cannot be used here
     */
    public static Engine open(String name, int sharedRanks) {
        return name.equals(AUTO) ? openBest(sharedRanks) : openNamed(name, sharedRanks);
    }

    private static Engine openNamed(String name, int sharedRanks) {
        List<EngineProvider> all = providers();
        EngineProvider provider = all.stream()
                .filter(candidate -> candidate.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new InputException("--engine " + name
                        + ": no such engine in this installation; it has "
                        + all.stream().map(EngineProvider::name).collect(Collectors.joining(", ", "auto, ", ""))));
        provider.unavailableReason().ifPresent(reason -> {
            throw new InputException("--engine " + name + ": " + reason);
        });
        return provider.open(sharedRanks);
    }

    private static Engine openBest(int sharedRanks) {
        StringBuilder passedOver = new StringBuilder();
        for (EngineProvider provider : providers()) {
            if (provider.priority() < 0) {
                continue;
            }
            Optional<String> reason = provider.unavailableReason();
            if (reason.isEmpty()) {
                Engine engine = provider.open(sharedRanks);
                log.info("engine {}: {}{}", engine.name(), engine.description(), passedOver);
                return engine;
            }
            passedOver.append("; not ").append(provider.name()).append(": ").append(reason.get());
        }
        throw new InputException("no engine works here" + passedOver);
    }
}
