package dev.graft.cli.run;

import dev.graft.cli.console.Units;
import dev.graft.cli.options.TrainRequest;
import dev.graft.common.InputException;
import dev.graft.engine.BufferLayout;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryPlan;
import dev.graft.engine.Precision;
import dev.graft.io.TensorStore;
import dev.graft.lora.TargetMatcher;
import dev.graft.model.FrozenWeights;
import dev.graft.train.TrainingPlan;
import java.util.OptionalInt;
import java.util.function.IntPredicate;

/** The memory that a run needs beside what the machine has, and the flags that would make it fit. */
public final class MemoryCheck {
    private final TrainRequest request;
    private final Precision precision;
    private final MemoryPlan frozen;
    private final BufferLayout layout;
    private final BatchLengths lengths;
    private final long available;
    private final TrainingPlan plan;

    private MemoryCheck(
            TrainRequest request, Precision precision, MemoryPlan frozen, BatchLengths lengths, Engine engine) {
        this.request = request;
        this.precision = precision;
        this.frozen = frozen;
        this.layout = engine.bufferLayout();
        this.lengths = lengths;
        this.available = engine.availableBytes();
        this.plan = planFor(request.train().batchSize(), request.seqLen());
    }

    /**
     * Plans a run whose model is not loaded yet.
     *
     * @param precision that the engine will compute in
     */
    public static MemoryCheck of(
            TrainRequest request, Engine engine, Precision precision, TensorStore checkpoint, BatchLengths lengths) {
        FrozenWeights.check(checkpoint, request.config(), request.model().toString());
        requireCountable(request, lengths);
        MemoryPlan frozen =
                FrozenWeights.plan(engine, checkpoint, request.config(), precision, request.lora(), request.matches());
        return new MemoryCheck(request, precision, frozen, lengths, engine);
    }

    /** Elements of a buffer are counted in 32 bits, and h = x Aᵀ of a whole batch is one buffer. */
    private static void requireCountable(TrainRequest request, BatchLengths lengths) {
        int batchSize = request.train().batchSize();
        int rank = request.matches().stream()
                .mapToInt(TargetMatcher.Match::rank)
                .max()
                .orElse(1);
        long tokens = lengths.size(batchSize, request.seqLen()).maxRows();
        if (tokens * rank > Integer.MAX_VALUE) {
            throw new InputException("--batch-size " + batchSize + " makes batches of " + Units.count(tokens)
                    + " tokens, more than can be computed at once; lower it and raise --grad-accum instead");
        }
    }

    public TrainingPlan plan() {
        return plan;
    }

    /** Bytes that the machine could give. */
    public long availableBytes() {
        return available;
    }

    public boolean fits() {
        return fits(plan);
    }

    /** @throws InputException where the run does not fit, with {@link #remedy} */
    public void requireFits() {
        if (!fits()) {
            throw new InputException("this run needs " + Units.bytes(plan.allocatedBytes()) + " of memory and "
                    + Units.bytes(available) + " are available; " + remedy());
        }
    }

    /**
     * The flags that would make it fit: the largest micro-batch that divides the rows of a step, with the accumulation that keeps
     * their number; or else single rows, cut shorter.
     */
    public String remedy() {
        int rows =
                Math.multiplyExact(request.train().batchSize(), request.train().gradAccum());
        for (int batch = request.train().batchSize() - 1; batch >= 1; batch--) {
            if (rows % batch == 0 && fits(planFor(batch, request.seqLen()))) {
                return "use --batch-size " + batch + " --grad-accum " + rows / batch + ", which computes the same";
            }
        }
        OptionalInt seqLen = largest(request.seqLen(), length -> fits(planFor(1, length)));
        if (seqLen.isPresent()) {
            return "use --batch-size 1 --grad-accum " + rows + " --seq-len " + seqLen.getAsInt();
        }
        long weights = plan.allocatedBytes() - plan.buffers().totalBytes();
        return "no batch size or sequence length would make it fit (" + Units.bytes(weights)
                + " are frozen weights); use "
                + (precision == Precision.F32 ? "--precision bf16, " : "")
                + "a smaller model or a machine with more memory";
    }

    /** The largest number from 2 to {@code most} for which {@code fits} holds, which must hold below any that it holds for. */
    private static OptionalInt largest(int most, IntPredicate fits) {
        if (!fits.test(2)) {
            return OptionalInt.empty();
        }
        int low = 2;
        int high = most;
        while (low < high) {
            int middle = low + (high - low + 1) / 2;
            if (fits.test(middle)) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        return OptionalInt.of(low);
    }

    private boolean fits(TrainingPlan candidate) {
        return candidate.allocatedBytes() <= available;
    }

    private TrainingPlan planFor(int batchSize, int seqLen) {
        return TrainingPlan.of(
                frozen,
                layout,
                request.config(),
                precision,
                request.lora(),
                request.matches(),
                lengths.size(batchSize, seqLen));
    }
}
