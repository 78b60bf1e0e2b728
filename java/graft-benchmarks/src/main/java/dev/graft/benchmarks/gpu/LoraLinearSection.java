package dev.graft.benchmarks.gpu;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.graft.cuda.CudaEngine;
import dev.graft.cuda.CudaSettings;
import dev.graft.tensor.DType;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * LoRA linear layers against the frozen layer alone, in both ways of multiplying the factors:
 * bordered (one product with W0) and plain (products of their own, added with beta = 1); and bordered with the gradients of A
 * computed beside the product of dx.
 */
final class LoraLinearSection implements Section {
    /** Errors above these mean that something is wrong, not rounded. */
    private static final double BF16_BOUND = 1e-2;

    private static final double F32_BOUND = 1e-5;

    /**
     * Forward or backward.
     *
     * @param tflops 10¹² operations a second, the low-rank ones counted too
     * @param ratio to the frozen layer's time
     */
    record Pass(
            double ms,
            double minMs,
            double maxMs,
            int calls,
            double tflops,
            @Nullable Double ratio) {}

    /** Both, and how exact they are. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Way(Pass forward, Pass backward, @Nullable LoraErrors errors) {}

    /**
     * A layer at a rank.
     *
     * @param border columns around W0 in the bordered way
     * @param frozen no adapter, matrices back to back
     * @param frozenBordered no adapter, rows as far apart as the bordered way has them: what the layout alone costs
     */
    record Layer(
            String shape,
            int in,
            List<Integer> out,
            int rows,
            String dtype,
            int rank,
            int border,
            Way frozen,
            Way frozenBordered,
            Way bordered,
            Way overlapped,
            Way plain) {
        boolean isExact() {
            double bound = dtype.equals(DType.F32.name()) ? F32_BOUND : BF16_BOUND;
            return bordered.errors.isWithin(bound) && overlapped.errors.isWithin(bound) && plain.errors.isWithin(bound);
        }
    }

    /**
     * All of them.
     *
     * @param passed whether all errors are those of rounding
     * @param leftOut for want of time
     */
    record Result(boolean passed, List<Layer> layers, List<String> leftOut) implements Verdict {}

    private record Case(LoraLayer.Shape shape, DType dtype, int rank) {
        @Override
        public String toString() {
            return shape.name() + " " + dtype + " r" + rank;
        }
    }

    /** What tells one frozen measurement from another. */
    private record FrozenKey(String shape, DType dtype, int border) {}

    @Override
    public String name() {
        return "lora_linear";
    }

    @Override
    public boolean opensEngines() {
        return true;
    }

    @Override
    public Result run(Verification verification) {
        List<Layer> layers = new ArrayList<>();
        List<String> leftOut = new ArrayList<>();
        Map<FrozenKey, Way> frozen = new HashMap<>();
        for (Case todo : cases(verification)) {
            if (verification.deadline().isPast()) {
                leftOut.add(todo.toString());
            } else {
                layers.add(measure(verification, todo, frozen));
                verification.soFar().accept(result(layers, leftOut));
            }
        }
        return result(layers, leftOut);
    }

    private static Result result(List<Layer> layers, List<String> leftOut) {
        return new Result(layers.stream().allMatch(Layer::isExact), layers, leftOut);
    }

    /** The most telling first. */
    private static List<Case> cases(Verification verification) {
        Sizes sizes = verification.sizes();
        int d = sizes.hidden();
        int wide = sizes.intermediate();
        LoraLayer.Shape square = new LoraLayer.Shape("o", d, List.of(d));
        LoraLayer.Shape qkv = new LoraLayer.Shape("qkv", d, List.of(d, sizes.keyValueWidth(), sizes.keyValueWidth()));
        LoraLayer.Shape gateUp = new LoraLayer.Shape("gate_up", d, List.of(wide, wide));
        LoraLayer.Shape down = new LoraLayer.Shape("down", wide, List.of(d));
        LoraLayer.Shape up = new LoraLayer.Shape("up", d, List.of(wide));
        List<LoraLayer.Shape> shapes = List.of(square, qkv, gateUp, down, up);
        List<Case> cases = new ArrayList<>();
        shapes.forEach(shape -> cases.add(new Case(shape, DType.BF16, 16)));
        if (verification.effort() != Effort.QUICK) {
            shapes.forEach(shape -> cases.add(new Case(shape, DType.BF16, 64)));
            cases.add(new Case(square, DType.F32, 16));
        }
        return cases;
    }

    private static Layer measure(Verification verification, Case todo, Map<FrozenKey, Way> frozenWays) {
        LoraLayer.Shape shape = todo.shape;
        int rows = verification.sizes().rows();
        int border = CudaSettings.borderFor(todo.rank * shape.out().size());
        Variant packed = Variant.PLAIN;
        Variant bordered = Variant.USUAL.withBorder(border);
        Way frozen = frozenWays.computeIfAbsent(
                new FrozenKey(shape.name(), todo.dtype, 0), key -> way(verification, todo, 0, packed, null));
        Way frozenBordered = frozenWays.computeIfAbsent(
                new FrozenKey(shape.name(), todo.dtype, border), key -> way(verification, todo, 0, bordered, frozen));
        return new Layer(
                shape.name(),
                shape.in(),
                shape.out(),
                rows,
                todo.dtype.name(),
                todo.rank,
                border,
                frozen,
                frozenBordered,
                way(verification, todo, todo.rank, bordered, frozen),
                way(verification, todo, todo.rank, bordered.withOverlap(), frozen),
                way(verification, todo, todo.rank, packed, frozen));
    }

    private static Way way(Verification verification, Case todo, int rank, Variant variant, @Nullable Way frozen) {
        int rows = verification.sizes().rows();
        try (CudaEngine engine = verification.target().open(variant);
                LoraLayer layer = new LoraLayer(engine, todo.shape, todo.dtype, rows, rank)) {
            LoraErrors errors = rank == 0 ? null : LoraErrors.of(layer);
            Stopwatch stopwatch = verification.stopwatch();
            double flops = todo.shape.frozenFlops(rows);
            return new Way(
                    pass(
                            stopwatch.time(engine, i -> layer.forward()),
                            flops + todo.shape.lowRankFlops(rows, rank, false),
                            frozen == null ? null : frozen.forward),
                    pass(
                            stopwatch.time(engine, i -> layer.backward()),
                            flops + todo.shape.lowRankFlops(rows, rank, true),
                            frozen == null ? null : frozen.backward),
                    errors);
        }
    }

    private static Pass pass(Timing timing, double flops, @Nullable Pass frozen) {
        return new Pass(
                timing.ms(),
                timing.minMs(),
                timing.maxMs(),
                timing.calls(),
                timing.tera(flops),
                frozen == null ? null : timing.ms() / frozen.ms);
    }
}
