package dev.graft.engine;

/**
 * An engine that cannot go on: a call of a driver or a kernel failed. One line: the operation, its operands, what the hardware's
 * libraries say, and what might help. What was computed since the last time the engine was waited for is lost.
 */
public final class EngineFailure extends RuntimeException {
    private static final long serialVersionUID = 1;

    public EngineFailure(String message) {
        super(message);
    }

    /** The same failure, with where it came out before its message and what is left of the run behind. */
    public EngineFailure at(String where, String remains) {
        return new EngineFailure(where + ": " + getMessage() + remains);
    }
}
