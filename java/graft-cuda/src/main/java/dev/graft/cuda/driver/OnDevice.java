package dev.graft.cuda.driver;

import dev.graft.tensor.Memory;

/** Memory that lies on a device. */
public interface OnDevice extends Memory {
    /** The range of device memory. */
    DeviceMemory range();
}
