package dev.graft.engine;

/** What a planned buffer is for; the rows of the memory plan. */
public enum MemoryKind {
    FROZEN_WEIGHTS("frozen weights"),
    TRAINABLE("trainable weights"),
    GRADIENTS("gradients"),
    OPTIMIZER("optimizer state"),
    ACTIVATIONS("activations"),
    WORKSPACE("workspace");

    private final String label;

    MemoryKind(String label) {
        this.label = label;
    }

    /** The name that a user reads. */
    public String label() {
        return label;
    }
}
