package dev.graft.cuda.ops;

import dev.graft.cuda.driver.Device;
import dev.graft.cuda.natives.KernelLibrary;
import dev.graft.engine.EngineFailure;
import dev.graft.tensor.DType;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/**
 * What every operation works with.
 *
 * @param device where the memory lies and the work is enqueued
 * @param kernels the kernel library
 */
public record Gpu(Device device, KernelLibrary kernels) {
    /** GRAFT_F32, GRAFT_BF16 and GRAFT_F16. */
    public static int code(DType dtype) {
        return switch (dtype) {
            case F32 -> 0;
            case BF16 -> 1;
            case F16 -> 2;
            default -> throw new IllegalArgumentException(dtype + " is not a type that kernels compute with");
        };
    }

    /** {@code tensor}'s address on this device. */
    public long at(TensorView tensor) {
        return device.address(tensor);
    }

    public long atOrZero(@Nullable TensorView tensor) {
        return device.addressOrZero(tensor);
    }

    public long stream() {
        return device.stream();
    }

    public long scratch() {
        return device.scratch();
    }

    public long scratchBytes() {
        return device.settings().scratch();
    }

    /** {@code destination = source}, between F32, BF16 and F16, or a plain copy. */
    public void convert(TensorView source, TensorView destination) {
        check(
                kernels.convert(
                        stream(),
                        code(source.dtype()),
                        at(source),
                        source.pitch(),
                        code(destination.dtype()),
                        at(destination),
                        destination.pitch(),
                        source.rows(),
                        source.cols()),
                "convert",
                "source",
                source,
                "destination",
                destination);
    }

    /** Every element = 0. */
    public void zero(TensorView destination) {
        int size = destination.dtype().byteSize();
        device.zero(at(destination), destination.pitch() * size, (long) destination.cols() * size, destination.rows());
    }

    /**
     * @param status of a call of the kernel library
     * @param named a name, its operand, the next name and so on; null operands are left out
     * @throws EngineFailure where it is not success, with the operation, its operands, the library's text and a remedy
     */
    public void check(int status, String operation, @Nullable Object... named) {
        if (status == 0) {
            return;
        }
        StringBuilder text = new StringBuilder(operation);
        for (int i = 0; i < named.length; i += 2) {
            if (named[i + 1] != null) {
                text.append(i == 0 ? " of " : ", ").append(named[i]).append(' ').append(named[i + 1]);
            }
        }
        text.append(": ").append(kernels.lastError());
        text.append(
                status == KernelLibrary.SCRATCH_TOO_SMALL
                        ? "; use a smaller --batch-size or --seq-len"
                        : "; scripts/gpu-verify tells whether this GPU computes right");
        throw new EngineFailure(text.toString());
    }
}
