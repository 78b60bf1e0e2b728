package dev.graft.cuda.ops;

import dev.graft.engine.LoraTerm;
import dev.graft.engine.Projection;
import dev.graft.tensor.TensorView;
import java.util.ArrayList;
import java.util.List;

/**
 * How the adapters of a call share a border: each has r columns of its own, side by side. Projections of one input (q, k and v)
 * share the border of x, so that it is written in one pass; in the products each has zeros where the others' factors stand.
 */
final class Borders {
    /** An adapter's place. */
    record Slot(Projection projection, LoraTerm term, int column) {}

    /** What the right border of a weight looks like: its adapters' columns, and the width of the whole. */
    private record Layout(List<Integer> columns, List<Integer> ranks, int width) {}

    private final List<Slot> slots = new ArrayList<>();
    private int width;

    private Borders() {}

    static Borders of(List<Projection> projections) {
        Borders borders = new Borders();
        for (Projection p : projections) {
            for (LoraTerm term : active(p)) {
                borders.slots.add(new Slot(p, term, borders.width));
                borders.width += term.rank();
            }
        }
        return borders;
    }

    /** The adapters that have any rows. */
    static List<LoraTerm> active(Projection p) {
        return p.lora().stream().filter(term -> term.toRow() > term.fromRow()).toList();
    }

    /** Σ r. */
    int width() {
        return width;
    }

    List<Slot> slots() {
        return slots;
    }

    List<Slot> slots(Projection p) {
        return slots.stream().filter(slot -> slot.projection() == p).toList();
    }

    boolean has(Projection p) {
        return slots.stream().anyMatch(slot -> slot.projection() == p);
    }

    /** Whether every adapter is at work on all {@code rows} rows, so that no row of the border is left as it was. */
    boolean coverAll(int rows) {
        return slots.stream()
                .allMatch(slot -> slot.term().fromRow() == 0 && slot.term().toRow() == rows);
    }

    /** What tells one division of a weight's border from another. */
    Object layout(Projection p) {
        List<Slot> own = slots(p);
        return new Layout(
                own.stream().map(Slot::column).toList(),
                own.stream().map(slot -> slot.term().rank()).toList(),
                width);
    }

    /** The border of {@code matrix}, as wide as the adapters need. */
    TensorView of(TensorView matrix) {
        return TensorView.readOnly(
                matrix.memory(),
                matrix.byteOffset() + (long) matrix.cols() * matrix.dtype().byteSize(),
                matrix.dtype(),
                matrix.rows(),
                width,
                matrix.pitch(),
                0);
    }
}
