package dev.graft.lora;

import dev.graft.engine.Dropout;
import dev.graft.engine.Engine;
import dev.graft.engine.Projection;
import dev.graft.nn.FlatParameters;
import dev.graft.nn.FlatParameters.Slot;
import dev.graft.nn.Linear;
import dev.graft.nn.Weight;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One linear layer of a pass where DoRA is at work on some rows or all:
 *
 * <pre>
 *   z  = x W0ᵀ + s (x Aᵀ) Bᵀ                          LoRA's product, without bias
 *   y  = z · m / n + bias [+ residual]                n = ‖W0 + s B A‖ row by row
 *   dm += Σ dy · z / n,   dz = dy · m / n             n is a constant here, as in the paper's section 4.3
 *   dx, dA, dB from dz as LoRA's
 * </pre>
 *
 * With dropout in training, PEFT takes dropout(x) for all of z and lets what was dropped pass the frozen layer:
 *
 * <pre>
 *   y  = z(dropout(x)) · m / n + (x - dropout(x)) W0ᵀ + bias [+ residual]
 * </pre>
 *
 * which costs a second product with W0. Rows of other adapters, or of none, have a factor of 1 and nothing dropped here.
 *
 * <p>Source: Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation" (2024); PEFT's {@code tuners/lora/dora.py}.
 */
final class DoraLayer {
    /** Rows that one DoRA adapter adapts, or (with {@code module} null) that none does. */
    private record Part(
            int fromRow,
            int toRow,
            @Nullable LoraAdapter adapter,
            @Nullable LoraModule module) {}

    private final Engine engine;
    private final LoraPass pass;
    private final TensorView x;
    private final LayerCall call;
    private final LoraBuffers buffers;
    private final List<Part> parts;
    private final boolean drops;
    private final Tensor z;

    DoraLayer(Engine engine, LoraPass pass, TensorView x, LayerCall call) {
        this.engine = engine;
        this.pass = pass;
        this.x = x;
        this.call = call;
        this.buffers = Objects.requireNonNull(pass.buffers());
        this.parts = parts(pass, call.linear(), x.rows());
        this.drops = pass.training() && parts.stream().anyMatch(part -> probability(part) > 0);
        // for inference the output's place will do; backward wants z again
        this.z = pass.training() ? buffers.product(call.linear(), x.rows()) : call.y();
    }

    private static List<Part> parts(LoraPass pass, Linear linear, int rows) {
        List<Part> parts = new ArrayList<>();
        int next = 0;
        List<AdapterRange> ranges = pass.ranges().stream()
                .sorted(Comparator.comparingInt(AdapterRange::fromRow))
                .toList();
        for (AdapterRange range : ranges) {
            LoraModule module = range.adapter().module(linear.name());
            if (module == null || module.magnitude() == null || range.rows() == 0) {
                continue;
            }
            if (range.fromRow() > next) {
                parts.add(new Part(next, range.fromRow(), null, null));
            }
            parts.add(new Part(range.fromRow(), range.toRow(), range.adapter(), module));
            next = range.toRow();
        }
        if (next < rows) {
            parts.add(new Part(next, rows, null, null));
        }
        return parts;
    }

    private static float probability(Part part) {
        return part.adapter == null ? 0 : (float) part.adapter.config().dropout();
    }

    /** Whether dropout gives this layer an input of its own, so that it cannot share a call with others. */
    boolean drops() {
        return drops;
    }

    // ---- forward

    /** z, for a call that reads x; where nothing {@link #drops}. */
    Projection forward() {
        return pass.projection(call.linear(), null, z, null);
    }

    /** y from z, which with dropout is computed here. */
    void finishForward() {
        TensorView bias = value(call.linear().bias());
        TensorView residual = call.residual();
        if (drops) {
            Tensor kept = buffers.kept(x);
            Tensor rest = buffers.rest(x);
            drop(x, kept, false, false);
            drop(x, rest, true, false);
            engine.linearForward(kept, List.of(forward()));
            engine.linearForward(rest, List.of(frozen(bias, call.y(), residual)));
            bias = null;
            residual = call.y();
        }
        for (Part part : parts) {
            engine.rescaleForward(
                    rows(z, part),
                    magnitude(part),
                    norms(part),
                    bias,
                    residual == null ? null : residual.rows(part.fromRow, part.toRow),
                    rows(call.y(), part));
        }
    }

    // ---- backward

    /** dm, and the rest of the gradients for a call that reads x; where nothing {@link #drops}. */
    Projection backward() {
        // z is needed no more; only float32 logits of a bf16 model have no room for dz there
        Tensor dz = z.dtype() == call.y().dtype() ? z : call.y();
        for (Part part : parts) {
            if (part.adapter != null && part.module != null) {
                Slot m = Objects.requireNonNull(part.module.magnitude());
                engine.rescaleBackward(
                        rows(call.y(), part),
                        rows(z, part),
                        Objects.requireNonNull(magnitude(part)),
                        Objects.requireNonNull(norms(part)),
                        rows(dz, part),
                        part.adapter.parameters().gradient(m));
            } else if (dz != call.y()) {
                engine.convert(rows(call.y(), part), rows(dz, part));
            }
        }
        return pass.projection(call.linear(), null, dz, null);
    }

    /** All gradients of a layer that {@link #drops}; dx is added to. */
    void backwardDropped(@Nullable Tensor dx) {
        Tensor rest = buffers.rest(x);
        if (dx != null) {
            engine.linearBackward(x, List.of(frozen(null, call.y(), null)), rest);
            drop(rest, dx, true, true);
        }
        Tensor kept = buffers.kept(x);
        drop(x, kept, false, false);
        engine.linearBackward(kept, List.of(backward()), dx == null ? null : rest);
        if (dx != null) {
            drop(rest, dx, false, true);
        }
    }

    // ---- parts

    private void drop(TensorView input, Tensor output, boolean complement, boolean accumulate) {
        for (Part part : parts) {
            int stream = part.module == null ? 0 : part.module.stream();
            engine.dropout(
                    input.rows(part.fromRow, part.toRow),
                    new Dropout(probability(part), pass.seed(), pass.microStep(), stream),
                    complement,
                    accumulate,
                    rows(output, part));
        }
    }

    /** The layer without adapters. */
    private Projection frozen(@Nullable TensorView bias, Tensor y, @Nullable TensorView residual) {
        return new Projection(call.linear().weight().value(), bias, List.of(), y, residual, null, null);
    }

    private @Nullable TensorView magnitude(Part part) {
        if (part.adapter == null || part.module == null) {
            return null;
        }
        FlatParameters parameters = part.adapter.parameters();
        return parameters.value(Objects.requireNonNull(part.module.magnitude())).asReadOnly();
    }

    private @Nullable TensorView norms(Part part) {
        return part.adapter == null || part.module == null
                ? null
                : part.adapter.rowNorms(
                        engine, part.module, call.linear().weight().value());
    }

    private static @Nullable TensorView value(@Nullable Weight weight) {
        return weight == null ? null : weight.value();
    }

    private static Tensor rows(Tensor tensor, Part part) {
        return tensor.rows(part.fromRow, part.toRow);
    }
}
