package dev.graft.benchmarks.gpu;

import dev.graft.cuda.CudaSettings;

/**
 * The choices of the engine that are measured against each other; see {@link CudaSettings}.
 *
 * @param border columns and rows around frozen weights; 0 for the plain way
 * @param overlap with kernels beside products
 * @param wgmma with attention on Hopper's own tensor core instructions
 */
record Variant(int border, boolean overlap, boolean wgmma) {
    static final Variant PLAIN = new Variant(0, false, false);

    /** What a user gets who chooses nothing. */
    static final Variant USUAL = new Variant(CudaSettings.DEFAULT_BORDER, false, false);

    Variant withBorder(int width) {
        return new Variant(width, overlap, wgmma);
    }

    Variant withOverlap() {
        return new Variant(border, true, wgmma);
    }

    Variant withWgmma() {
        return new Variant(border, overlap, true);
    }
}
