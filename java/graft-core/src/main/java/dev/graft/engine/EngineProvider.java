package dev.graft.engine;

import java.util.Optional;

/** How an engine makes itself known to {@link Engines}, through {@link java.util.ServiceLoader}. */
public interface EngineProvider {
    /** As typed after {@code --engine}. */
    String name();

    /** {@code auto} tries the highest first; negative: never chosen by {@code auto}. */
    int priority();

    /** Why this engine cannot be used here, in one line; empty where it can. */
    Optional<String> unavailableReason();

    /**
     * Opens it; only where {@link #unavailableReason} is empty.
     *
     * @param sharedRanks as in {@link Engines#open(String, int)}
     */
    Engine open(int sharedRanks);
}
