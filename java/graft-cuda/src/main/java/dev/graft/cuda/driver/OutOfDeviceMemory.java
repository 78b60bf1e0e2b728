package dev.graft.cuda.driver;

import dev.graft.common.InputException;

/** The device has less memory than was asked for. */
public final class OutOfDeviceMemory extends InputException {
    private static final long serialVersionUID = 1;

    OutOfDeviceMemory(long bytes, long free) {
        super("out of GPU memory: " + bytes + " bytes asked for, " + free
                + " free; use a smaller --batch-size or --seq-len, or --precision bf16");
    }
}
