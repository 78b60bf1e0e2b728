package dev.graft.cuda;

import dev.graft.common.InputException;
import dev.graft.cuda.driver.DeviceSettings;

/**
 * Choices of the CUDA engine, from system properties of the same names as below after {@code graft.cuda.}.
 *
 * @param device the GPU's number, as the driver counts; {@code CUDA_VISIBLE_DEVICES} hides others
 * @param border columns and rows around frozen weights in which adapters up to that rank (summed over q, k and v, or gate and up)
 *     take part in the frozen weight's product; 0 multiplies them apart. Measured by {@code scripts/gpu-verify}
 * @param tf32 whether float32 products may be rounded to TF32: faster on GPUs, and no longer exact
 * @param wgmma whether bf16 attention is computed by Hopper's own tensor core instructions; compute capability 9.0 alone has them
 * @param memory of the engine itself; property {@code overlap} has the gradients of A computed beside the products of dx, property
 *     {@code readonly} has the device refuse to write frozen weights that have no border: with border 0 all of them
 */
public record CudaSettings(int device, int border, boolean tf32, boolean wgmma, DeviceSettings memory) {
    /** 48 for rank 16 on q, k and v, and some to spare. */
    public static final int DEFAULT_BORDER = 64;

    /**
     * The widest border that is laid out unasked, for rank 85 on q, k and v: as each of them has zeros where the others' factors
     * stand, a wide border costs more than it saves.
     */
    public static final int WIDEST_BORDER = 256;

    /** More than any sum of ranks or number of GPUs, and little enough that no size overflows. */
    private static final int MOST = 65_535;

    private static final String PREFIX = "graft.cuda.";

    /** The border for adapters whose ranks, over those that read the same input, sum to {@code sharedRanks}. */
    public static int borderFor(int sharedRanks) {
        boolean tooWide = sharedRanks > WIDEST_BORDER;
        return tooWide ? DEFAULT_BORDER : Math.max(DEFAULT_BORDER, Math.ceilDiv(sharedRanks, 16) * 16);
    }

    /** As the system properties say, and where they do not, for adapters of so many {@link #borderFor ranks}. */
    static CudaSettings fromProperties(DeviceSettings memory, int sharedRanks) {
        return new CudaSettings(
                number("device", 0),
                number("border", borderFor(sharedRanks)),
                Boolean.getBoolean(PREFIX + "tf32"),
                Boolean.getBoolean(PREFIX + "wgmma"),
                memory.withOverlap(Boolean.getBoolean(PREFIX + "overlap"))
                        .withReadOnly(Boolean.getBoolean(PREFIX + "readonly")));
    }

    private static int number(String name, int otherwise) {
        String value = System.getProperty(PREFIX + name);
        if (value == null) {
            return otherwise;
        }
        try {
            int number = Integer.parseInt(value.strip());
            if (number >= 0 && number <= MOST) {
                return number;
            }
        } catch (NumberFormatException noNumber) {
            // refused below
        }
        throw new InputException("-D" + PREFIX + name + "=" + value + ": not a number from 0 to " + MOST
                + "; give one, or leave it out");
    }
}
