package dev.graft.cuda.ops;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;

/** Rotary position embedding. */
public final class Rope {
    private final Gpu gpu;

    public Rope(Gpu gpu) {
        this.gpu = gpu;
    }

    public void rotate(Tensor x, TensorView cosSin, TensorView positions, int headDim, boolean inverse) {
        gpu.check(
                gpu.kernels()
                        .rope(
                                gpu.stream(),
                                Gpu.code(x.dtype()),
                                gpu.at(x),
                                x.pitch(),
                                gpu.at(cosSin),
                                cosSin.pitch(),
                                gpu.at(positions),
                                inverse ? 1 : 0,
                                x.rows(),
                                x.cols() / headDim,
                                headDim),
                "rope",
                "x",
                x);
    }
}
