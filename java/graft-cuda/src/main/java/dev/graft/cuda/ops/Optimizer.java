package dev.graft.cuda.ops;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.graft.engine.AdamW;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Calls of the optimizer's kernels, over flat float32 buffers. */
public final class Optimizer {
    private static final int STRUCT_FLOATS = 9;

    private final Gpu gpu;
    private final MemorySegment struct = Arena.ofAuto().allocate(JAVA_FLOAT, STRUCT_FLOATS);

    public Optimizer(Gpu gpu) {
        this.gpu = gpu;
    }

    public void sumOfSquares(TensorView x, Tensor result) {
        gpu.check(
                gpu.kernels()
                        .sumOfSquares(
                                gpu.stream(), gpu.at(x), x.cols(), gpu.at(result), gpu.scratch(), gpu.scratchBytes()),
                "sumOfSquares",
                "x",
                x);
    }

    public void adamW(
            AdamW parameters,
            Tensor values,
            TensorView gradients,
            Tensor moment1,
            Tensor moment2,
            TensorView sumOfSquares) {
        write(parameters);
        gpu.check(
                gpu.kernels()
                        .adamWStep(
                                gpu.stream(),
                                struct,
                                gpu.at(values),
                                gpu.at(gradients),
                                gpu.at(moment1),
                                gpu.at(moment2),
                                gpu.at(sumOfSquares),
                                values.cols()),
                "adamW",
                "values",
                values);
    }

    /** Fills {@code graft_adam_w}: what is the same for all elements, computed in float64 and rounded once. */
    private void write(AdamW p) {
        double[] fields = {
            1 - p.learningRate() * p.weightDecay(),
            p.beta1(),
            p.beta2(),
            1 - p.beta1(),
            1 - p.beta2(),
            p.learningRate() / (1 - Math.pow(p.beta1(), p.step())),
            1 / Math.sqrt(1 - Math.pow(p.beta2(), p.step())),
            p.epsilon(),
            p.clipNorm()
        };
        for (int i = 0; i < fields.length; i++) {
            struct.setAtIndex(JAVA_FLOAT, i, (float) fields[i]);
        }
    }
}
