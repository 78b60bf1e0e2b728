package dev.graft.common;

/** What a random number is for; the fourth counter word of {@link Philox}, so that no two uses ever share numbers. */
public enum RandomPurpose {
    INITIALISE_A,
    INITIALISE_WEIGHTS,
    SHUFFLE,
    DROPOUT,
    SAMPLE,
    INITIALISE_BOTTLENECK;

    /** The counter word. */
    public int word() {
        return ordinal() + 1;
    }
}
