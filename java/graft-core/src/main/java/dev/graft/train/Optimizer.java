package dev.graft.train;

import dev.graft.engine.AdamW;
import dev.graft.engine.Allocator;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;

/** AdamW over flat parameters: two moments with the parameters' layout, one call a step. */
public final class Optimizer {
    private final FlatParameters parameters;
    private final Tensor moment1;
    private final Tensor moment2;
    private final Tensor sumOfSquares;

    public Optimizer(FlatParameters parameters, Allocator allocator) {
        this.parameters = parameters;
        int length = parameters.values().cols();
        this.moment1 = allocator.tensor(MemoryKind.OPTIMIZER, "first moments", DType.F32, 1, length);
        this.moment2 = allocator.tensor(MemoryKind.OPTIMIZER, "second moments", DType.F32, 1, length);
        this.sumOfSquares = allocator.tensor(MemoryKind.WORKSPACE, "gradient norm", DType.F32, 1, 1);
    }

    /**
     * Clips, updates, and sets the gradients to zero.
     *
     * @return the gradients' norm before clipping; where it is not finite nothing was updated
     */
    public double step(Engine engine, AdamW adamW) {
        engine.sumOfSquares(parameters.gradients(), sumOfSquares);
        engine.adamW(adamW, parameters.values(), parameters.gradients(), moment1, moment2, sumOfSquares);
        parameters.refresh(engine);
        engine.zero(parameters.gradients());
        return Math.sqrt(engine.download(sumOfSquares)[0]);
    }

    Tensor moment1() {
        return moment1;
    }

    Tensor moment2() {
        return moment2;
    }
}
