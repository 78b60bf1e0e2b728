package dev.graft.cli.run;

import dev.graft.cli.console.Units;
import dev.graft.cli.options.TrainRequest;
import dev.graft.common.InputException;
import dev.graft.engine.BufferLayout;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryPlan;
import dev.graft.engine.Precision;
import dev.graft.io.TensorStore;
import dev.graft.model.FrozenWeights;
import dev.graft.train.Method;
import dev.graft.train.TrainingPlan;
import dev.graft.train.TrainingSize;
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
        this.plan = planFor(
                request.train().batchSize(), request.seqLen(), request.train().gradientCheckpointing());
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
        MemoryPlan frozen = TrainingPlan.frozen(engine, checkpoint, request.config(), precision, request.method());
        return new MemoryCheck(request, precision, frozen, lengths, engine);
    }

    /** Elements of a buffer are counted in 32 bits, and h = x Aᵀ of a whole batch is one buffer. */
    private static void requireCountable(TrainRequest request, BatchLengths lengths) {
        int batchSize = request.train().batchSize();
        int rank = switch (request.method()) {
            case Method.Lora lora -> lora.maxRank();
            case Method.JointLora joint -> joint.each().maxRank();
            case Method.Adapter modules -> modules.config().size();
            case Method.Full full -> 1;
        };
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
     * The flags that would make it fit, the cheapest first: the largest micro-batch that divides the rows of a step, with the
     * accumulation that keeps their number; the same with gradient checkpointing, which takes more time; or else single rows, cut
     * shorter.
     */
    public String remedy() {
        int rows =
                Math.multiplyExact(request.train().batchSize(), request.train().gradAccum());
        for (boolean checkpointed : new boolean[] {false, true}) {
            for (int batch = request.train().batchSize(); batch >= 1; batch--) {
                if (rows % batch == 0 && fits(planFor(batch, request.seqLen(), checkpointed))) {
                    return "use " + flags(batch, checkpointed) + ", which computes the same"
                            + (checkpointed ? " in more time" : "");
                }
            }
        }
        OptionalInt seqLen = largest(request.seqLen(), length -> fits(planFor(1, length, true)));
        if (seqLen.isPresent()) {
            return "use " + flags(1, true) + " --seq-len " + seqLen.getAsInt();
        }
        String instead = (precision == Precision.F32 ? "--precision bf16, " : "")
                + "a smaller model or a machine with more memory";
        if (request.method() instanceof Method.Full) {
            return "no batch size or sequence length would make it fit; use --method lora, " + instead;
        }
        long weights = plan.allocatedBytes() - plan.buffers().totalBytes();
        return "no batch size or sequence length would make it fit (" + Units.bytes(weights)
                + " are frozen weights); use " + instead;
    }

    private String flags(int batch, boolean checkpointed) {
        int rows = request.train().batchSize() * request.train().gradAccum();
        String split =
                batch == request.train().batchSize() ? "" : " --batch-size " + batch + " --grad-accum " + rows / batch;
        return ((checkpointed ? " --gradient-checkpointing" : "") + split).strip();
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

    private TrainingPlan planFor(int batchSize, int seqLen, boolean checkpointed) {
        TrainingSize size = lengths.size(batchSize, seqLen);
        return TrainingPlan.of(
                frozen,
                layout,
                request.config(),
                precision,
                request.method(),
                new TrainingSize(size.maxRows(), size.maxPositions(), checkpointed));
    }
}
