package dev.graft.engine;

/** Causal grouped-query attention in float64, straight from the formulas of {@link Engine}: the executable specification. */
public final class ReferenceAttention {
    private ReferenceAttention() {}

    /** o [M, H · D] and ln Σ exp(scores) [M, H]. */
    public record Output(Matrix o, Matrix logSumExp) {}

    public record Gradients(Matrix q, Matrix k, Matrix v) {}

    public static Output forward(AttentionShape shape, Sequences sequences, Matrix q, Matrix k, Matrix v) {
        Output output = new Output(Matrix.zeros(q.rows(), q.cols()), Matrix.zeros(q.rows(), shape.heads()));
        forEachQuery(shape, sequences, (row, head, firstKey, lastKey) -> {
            double[] scores = scores(shape, q, k, row, head, firstKey, lastKey);
            double logSumExp = logSumExp(scores);
            output.logSumExp.set(row, head, logSumExp);
            for (int key = firstKey; key <= lastKey; key++) {
                double probability = Math.exp(scores[key - firstKey] - logSumExp);
                for (int i = 0; i < shape.headDim(); i++) {
                    output.o.add(
                            row, queryColumn(shape, head) + i, probability * v.at(key, keyColumn(shape, head) + i));
                }
            }
        });
        return output;
    }

    /**
     * With P the probabilities and δ = Σ dO · o: {@code dv = Pᵀ dO}, {@code dS = P · (dO vᵀ - δ)}, {@code dq = scale · dS k},
     * {@code dk = scale · dSᵀ q}.
     */
    public static Gradients backward(
            AttentionShape shape,
            Sequences sequences,
            Matrix q,
            Matrix k,
            Matrix v,
            Matrix o,
            Matrix logSumExp,
            Matrix dO) {
        Gradients gradients = new Gradients(
                Matrix.zeros(q.rows(), q.cols()), Matrix.zeros(k.rows(), k.cols()), Matrix.zeros(v.rows(), v.cols()));
        forEachQuery(shape, sequences, (row, head, firstKey, lastKey) -> {
            int qColumn = queryColumn(shape, head);
            int kColumn = keyColumn(shape, head);
            double[] scores = scores(shape, q, k, row, head, firstKey, lastKey);
            double delta = dot(shape, dO, row, qColumn, o, row, qColumn);
            for (int key = firstKey; key <= lastKey; key++) {
                double probability = Math.exp(scores[key - firstKey] - logSumExp.at(row, head));
                double scoreGradient =
                        shape.scale() * probability * (dot(shape, dO, row, qColumn, v, key, kColumn) - delta);
                for (int i = 0; i < shape.headDim(); i++) {
                    gradients.q.add(row, qColumn + i, scoreGradient * k.at(key, kColumn + i));
                    gradients.k.add(key, kColumn + i, scoreGradient * q.at(row, qColumn + i));
                    gradients.v.add(key, kColumn + i, probability * dO.at(row, qColumn + i));
                }
            }
        });
        return gradients;
    }

    /** One query of one head and the rows of the keys that it sees, both inclusive. */
    private interface QueryVisitor {
        void visit(int row, int head, int firstKey, int lastKey);
    }

    private static void forEachQuery(AttentionShape shape, Sequences sequences, QueryVisitor visitor) {
        for (int s = 0; s < sequences.count(); s++) {
            int keyStart = sequences.keyStart()[s];
            for (int i = 0; i < sequences.queryLength()[s]; i++) {
                int position = sequences.keyLength()[s] - sequences.queryLength()[s] + i;
                int first = shape.window() == 0 ? 0 : Math.max(0, position - shape.window() + 1);
                for (int head = 0; head < shape.heads(); head++) {
                    visitor.visit(sequences.queryStart()[s] + i, head, keyStart + first, keyStart + position);
                }
            }
        }
    }

    private static double[] scores(
            AttentionShape shape, Matrix q, Matrix k, int row, int head, int firstKey, int lastKey) {
        double[] scores = new double[lastKey - firstKey + 1];
        for (int j = 0; j < scores.length; j++) {
            scores[j] = shape.scale()
                    * dot(shape, q, row, queryColumn(shape, head), k, firstKey + j, keyColumn(shape, head));
        }
        return scores;
    }

    /** ln Σ exp(values), with the largest taken out so that nothing overflows. */
    static double logSumExp(double[] values) {
        double max = Double.NEGATIVE_INFINITY;
        for (double value : values) {
            max = Math.max(max, value);
        }
        double sum = 0;
        for (double value : values) {
            sum += Math.exp(value - max);
        }
        return max + Math.log(sum);
    }

    private static double dot(
            AttentionShape shape,
            Matrix left,
            int leftRow,
            int leftColumn,
            Matrix right,
            int rightRow,
            int rightColumn) {
        double sum = 0;
        for (int i = 0; i < shape.headDim(); i++) {
            sum += left.at(leftRow, leftColumn + i) * right.at(rightRow, rightColumn + i);
        }
        return sum;
    }

    private static int queryColumn(AttentionShape shape, int head) {
        return head * shape.headDim();
    }

    private static int keyColumn(AttentionShape shape, int head) {
        return head / shape.groupSize() * shape.headDim();
    }
}
