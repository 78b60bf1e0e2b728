package dev.graft.benchmarks.gpu;

/** How much is measured. */
enum Effort {
    /** Everything once, at sizes that the emulator can do. */
    TINY,
    /** The sizes of Llama 3 8B, the most telling cases only. */
    QUICK,
    /** All cases. */
    FULL
}
