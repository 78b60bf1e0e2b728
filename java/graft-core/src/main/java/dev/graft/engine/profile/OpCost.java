package dev.graft.engine.profile;

import dev.graft.engine.AttentionShape;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.Projection;
import dev.graft.engine.Sequences;
import dev.graft.tensor.TensorView;
import java.util.List;

/**
 * What a call of an engine costs at least.
 *
 * @param flops multiplications and additions of its matrix products
 * @param bytes of its operands, each counted once
 */
record OpCost(double flops, double bytes) {
    /** Counted from the arguments of the engine's method {@code operation}. */
    static OpCost of(String operation, Object[] arguments) {
        return switch (operation) {
            case "linearForward" -> linear(arguments, false);
            case "linearBackward" -> linear(arguments, true);
            case "attentionForward" -> new OpCost(4 * attentionPairs(arguments), bytes(arguments));
            // five products, and the scores once more
            case "attentionBackward" -> new OpCost(10 * attentionPairs(arguments), bytes(arguments));
            default -> new OpCost(0, bytes(arguments));
        };
    }

    private static OpCost linear(Object[] arguments, boolean backward) {
        TensorView x = (TensorView) arguments[0];
        boolean needsInputGradient = backward && arguments[2] != null;
        double flops = 0;
        double bytes = x.byteSize();
        for (Object argument : (List<?>) arguments[1]) {
            Projection p = (Projection) argument;
            double n = p.weight().rows();
            double k = x.cols();
            flops += !backward || needsInputGradient ? 2 * x.rows() * n * k : 0;
            flops += backward && p.weightGradient() != null ? 2 * x.rows() * n * k : 0;
            bytes += p.weight().byteSize() + p.y().byteSize();
            for (LoraTerm term : p.lora()) {
                double part = 2.0 * (term.toRow() - term.fromRow()) * term.rank();
                double input = backward ? (needsInputGradient ? 2 : 1) : 1;
                flops += part * (k * input + n * (backward ? 2 : 1));
            }
        }
        return new OpCost(flops, bytes);
    }

    /** Query-key pairs times head dimension times heads. */
    private static double attentionPairs(Object[] arguments) {
        AttentionShape shape = (AttentionShape) arguments[0];
        Sequences sequences = (Sequences) arguments[1];
        double pairs = 0;
        for (int i = 0; i < sequences.count(); i++) {
            int queries = sequences.queryLength()[i];
            int keys = sequences.keyLength()[i];
            for (int q = 0; q < queries; q++) {
                int seen = keys - queries + q + 1;
                pairs += shape.window() > 0 ? Math.min(seen, shape.window()) : seen;
            }
        }
        return pairs * shape.headDim() * shape.heads();
    }

    private static double bytes(Object[] arguments) {
        double bytes = 0;
        for (Object argument : arguments) {
            bytes += argument instanceof TensorView tensor ? tensor.byteSize() : 0;
        }
        return bytes;
    }
}
