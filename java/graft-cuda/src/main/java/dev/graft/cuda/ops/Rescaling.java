package dev.graft.cuda.ops;

import dev.graft.cuda.natives.LoraTermArray.Mask;
import dev.graft.engine.Dropout;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import org.jspecify.annotations.Nullable;

/** Calls of the kernels that DoRA needs around linear layers. */
public final class Rescaling {
    private final Gpu gpu;

    public Rescaling(Gpu gpu) {
        this.gpu = gpu;
    }

    public void rowNorms(TensorView weight, TensorView a, TensorView b, float scale, Tensor norms) {
        gpu.check(
                gpu.kernels()
                        .rowNorms(
                                gpu.stream(),
                                Gpu.code(weight.dtype()),
                                gpu.at(weight),
                                weight.pitch(),
                                gpu.at(a),
                                a.pitch(),
                                gpu.at(b),
                                b.pitch(),
                                a.rows(),
                                scale,
                                gpu.at(norms),
                                weight.rows(),
                                weight.cols()),
                "rowNorms",
                "weight",
                weight,
                "A",
                a);
    }

    public void forward(
            TensorView z,
            @Nullable TensorView magnitude,
            @Nullable TensorView norms,
            @Nullable TensorView bias,
            @Nullable TensorView residual,
            Tensor y) {
        gpu.check(
                gpu.kernels()
                        .rescaleForward(
                                gpu.stream(),
                                Gpu.code(z.dtype()),
                                gpu.at(z),
                                z.pitch(),
                                gpu.atOrZero(magnitude),
                                gpu.atOrZero(norms),
                                gpu.atOrZero(bias),
                                Gpu.code(bias == null ? z.dtype() : bias.dtype()),
                                gpu.atOrZero(residual),
                                residual == null ? 0 : residual.pitch(),
                                gpu.at(y),
                                y.pitch(),
                                y.rows(),
                                y.cols()),
                "rescaleForward",
                "z",
                z);
    }

    public void backward(
            TensorView dy, TensorView z, TensorView magnitude, TensorView norms, Tensor dz, Tensor magnitudeGradient) {
        gpu.check(
                gpu.kernels()
                        .rescaleBackward(
                                gpu.stream(),
                                Gpu.code(dy.dtype()),
                                gpu.at(dy),
                                dy.pitch(),
                                Gpu.code(z.dtype()),
                                gpu.at(z),
                                z.pitch(),
                                gpu.at(magnitude),
                                gpu.at(norms),
                                gpu.at(dz),
                                dz.pitch(),
                                gpu.at(magnitudeGradient),
                                dy.rows(),
                                dy.cols(),
                                gpu.scratch(),
                                gpu.scratchBytes()),
                "rescaleBackward",
                "dy",
                dy);
    }

    public void dropout(TensorView x, Dropout dropout, boolean complement, boolean accumulate, Tensor y) {
        Mask mask = LowRank.mask(dropout);
        gpu.check(
                gpu.kernels()
                        .dropout(
                                gpu.stream(),
                                Gpu.code(x.dtype()),
                                gpu.at(x),
                                x.pitch(),
                                mask.seed(),
                                mask.step(),
                                mask.stream(),
                                mask.threshold(),
                                mask.scale(),
                                complement ? 1 : 0,
                                accumulate ? 1 : 0,
                                gpu.at(y),
                                y.pitch(),
                                y.rows(),
                                y.cols()),
                "dropout",
                "x",
                x);
    }
}
