package dev.graft.benchmarks.gpu;

/** A part of the verification. */
interface Section {
    /** Its key in the JSON file, and its name after {@code --sections}. */
    String name();

    /** Does the work; the result is written as JSON, record components in snake case. */
    Object run(Verification verification);

    /** Whether it opens several engines, one after the other. */
    default boolean opensEngines() {
        return false;
    }

    /** A result that can be wrong, not only slow. */
    interface Verdict {
        boolean passed();
    }
}
