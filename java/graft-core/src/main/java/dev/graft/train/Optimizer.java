package dev.graft.train;

import dev.graft.common.InputException;
import dev.graft.engine.AdamW;
import dev.graft.engine.Allocator;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * AdamW over flat parameters: two moments with the parameters' layout, one call a step; or, with LoRA+, one for each stretch of
 * parameters that share a learning rate: all A, then all B. Gradients are clipped by the norm of all together.
 *
 * <p>LoRA+ as PEFT's {@code create_loraplus_optimizer}: B's learning rate is {@code ratio} times A's, and weight decay, which
 * multiplies by 1 - lr λ, follows each one's own.
 */
public final class Optimizer {
    /** Parameters {@code from} (inclusive) to {@code to} (exclusive), whose learning rate is {@code ratio} times the step's. */
    private record Stretch(int from, int to, double ratio) {}

    private final FlatParameters parameters;
    private final List<Stretch> stretches;
    private final Tensor moment1;
    private final Tensor moment2;
    private final Tensor sumOfSquares;

    /** One learning rate for all. */
    public Optimizer(FlatParameters parameters, Allocator allocator) {
        this(parameters, allocator, 1);
    }

    /**
     * With LoRA+.
     *
     * @param ratio how many times A's learning rate B's is; 1 = the same
     * @throws InputException where the ratio is not 1 and there is no B
     */
    public Optimizer(FlatParameters parameters, Allocator allocator, double ratio) {
        this.parameters = parameters;
        this.stretches = stretches(parameters, ratio);
        int length = parameters.values().cols();
        this.moment1 = allocator.tensor(MemoryKind.OPTIMIZER, "first moments", DType.F32, 1, length);
        this.moment2 = allocator.tensor(MemoryKind.OPTIMIZER, "second moments", DType.F32, 1, length);
        this.sumOfSquares = allocator.tensor(MemoryKind.WORKSPACE, "gradient norm", DType.F32, 1, 1);
    }

    private static List<Stretch> stretches(FlatParameters parameters, double ratio) {
        int length = parameters.values().cols();
        if (ratio == 1) {
            return List.of(new Stretch(0, length, 1));
        }
        if (parameters.slots().stream().noneMatch(FlatParameters.Slot::fast)) {
            throw new InputException(
                    "--lora-plus-ratio " + ratio + ": there is no B to learn faster in what is trained; leave it out");
        }
        List<Stretch> stretches = new ArrayList<>();
        int from = 0;
        boolean fast = parameters.slots().getFirst().fast();
        for (FlatParameters.Slot slot : parameters.slots()) {
            if (slot.fast() != fast) {
                stretches.add(new Stretch(from, slot.offset(), fast ? ratio : 1));
                from = slot.offset();
                fast = slot.fast();
            }
        }
        stretches.add(new Stretch(from, length, fast ? ratio : 1));
        return stretches;
    }

    /**
     * Clips, updates, and sets the gradients to zero.
     *
     * @param adamW with the learning rate of A
     * @return the gradients' norm before clipping; where it is not finite nothing was updated
     */
    public double step(Engine engine, AdamW adamW) {
        engine.sumOfSquares(parameters.gradients(), sumOfSquares);
        for (Stretch part : stretches) {
            engine.adamW(
                    adamW.withLearningRate(adamW.learningRate() * part.ratio),
                    parameters.values().columns(part.from, part.to),
                    parameters.gradients().columns(part.from, part.to),
                    moment1.columns(part.from, part.to),
                    moment2.columns(part.from, part.to),
                    sumOfSquares);
        }
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
