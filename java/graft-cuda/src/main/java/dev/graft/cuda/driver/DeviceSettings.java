package dev.graft.cuda.driver;

/**
 * Sizes of what the engine itself holds, in bytes. Without scratch for kernels beside products nothing runs beside anything.
 *
 * @param blasWorkspace device memory for cuBLAS, which splits products over it; NVIDIA recommends 32 MiB for Hopper
 * @param scratch device memory for the kernels' partial sums
 * @param sideScratch likewise, for kernels that run beside products; 0: all work is in one stream
 * @param sequenceTable device memory for where each sequence of a batch lies; 16 bytes a sequence
 * @param staging pinned host memory of each transfer buffer
 * @param headroom device memory that plans leave to the driver, which loads kernels when they are first used
 * @param chunk device memory is taken from the driver in pieces of at least this size and divided up; 0: one piece a buffer
 * @param readOnly whether frozen weights without a border are mapped so that the device can only read them, where the driver does that
 */
public record DeviceSettings(
        long blasWorkspace,
        long scratch,
        long sideScratch,
        long sequenceTable,
        long staging,
        long headroom,
        long chunk,
        boolean readOnly) {
    /** For a GPU. */
    public static DeviceSettings forGpu() {
        return new DeviceSettings(32L << 20, 64L << 20, 0, 1L << 20, 16L << 20, 256L << 20, 64L << 20, false);
    }

    /** For the emulator: small, so that every limit is met in tests, and each buffer apart, so that overruns show. */
    public static DeviceSettings forEmulator() {
        return new DeviceSettings(1L << 20, 4L << 20, 0, 1L << 14, 1L << 18, 0, 0, false);
    }

    /** The same with kernels beside products, or without. */
    public DeviceSettings withOverlap(boolean overlap) {
        return new DeviceSettings(
                blasWorkspace, scratch, overlap ? scratch : 0, sequenceTable, staging, headroom, chunk, readOnly);
    }

    /** The same with memory taken from the driver in pieces of at least {@code chunk} bytes; 0: one a buffer. */
    public DeviceSettings withChunk(long chunk) {
        return new DeviceSettings(
                blasWorkspace, scratch, sideScratch, sequenceTable, staging, headroom, chunk, readOnly);
    }

    /** The same with frozen weights mapped read-only, or not. */
    public DeviceSettings withReadOnly(boolean readOnly) {
        return new DeviceSettings(
                blasWorkspace, scratch, sideScratch, sequenceTable, staging, headroom, chunk, readOnly);
    }

    /** Whether kernels run beside products. */
    public boolean overlaps() {
        return sideScratch > 0;
    }

    /** Device memory of all but staging. */
    public long deviceBytes() {
        return blasWorkspace + scratch + sideScratch + sequenceTable;
    }
}
