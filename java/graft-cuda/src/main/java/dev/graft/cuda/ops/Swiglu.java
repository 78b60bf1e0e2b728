package dev.graft.cuda.ops;

import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;

/** SwiGLU and its gradients. */
public final class Swiglu {
    private final Gpu gpu;

    public Swiglu(Gpu gpu) {
        this.gpu = gpu;
    }

    public void forward(TensorView gate, TensorView up, Tensor y) {
        gpu.check(
                gpu.kernels()
                        .swigluForward(
                                gpu.stream(),
                                Gpu.code(y.dtype()),
                                gpu.at(gate),
                                gate.pitch(),
                                gpu.at(up),
                                up.pitch(),
                                gpu.at(y),
                                y.pitch(),
                                y.rows(),
                                y.cols()),
                "swigluForward",
                "y",
                y);
    }

    public void backward(TensorView dy, TensorView gate, TensorView up, Tensor dgate, Tensor dup) {
        gpu.check(
                gpu.kernels()
                        .swigluBackward(
                                gpu.stream(),
                                Gpu.code(dy.dtype()),
                                gpu.at(dy),
                                dy.pitch(),
                                gpu.at(gate),
                                gate.pitch(),
                                gpu.at(up),
                                up.pitch(),
                                gpu.at(dgate),
                                dgate.pitch(),
                                gpu.at(dup),
                                dup.pitch(),
                                dy.rows(),
                                dy.cols()),
                "swigluBackward",
                "dy",
                dy);
    }
}
