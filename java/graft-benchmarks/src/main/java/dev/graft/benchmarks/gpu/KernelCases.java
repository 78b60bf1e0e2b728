package dev.graft.benchmarks.gpu;

import dev.graft.engine.AdamW;
import dev.graft.engine.AttentionShape;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Projection;
import dev.graft.engine.Sequences;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.List;
import java.util.SplittableRandom;

/** The operations of a training step in bf16, but for the adapters', with what each must move or compute. */
final class KernelCases {
    /** Each family's buffers live only while it is measured. */
    static final List<Family> FAMILIES = List.of(
            KernelCases::norms,
            KernelCases::positionsAndRows,
            KernelCases::swiglu,
            KernelCases::attention,
            KernelCases::loss,
            KernelCases::optimizer);

    private static final DType COMPUTE = DType.BF16;

    private final Engine engine;
    private final Sizes sizes;
    private final Workspace workspace;
    private final List<KernelCase> cases;
    private int stream = 100;

    /** Operations that are measured together. */
    interface Family {
        List<KernelCase> of(KernelCases buffers);
    }

    KernelCases(Engine engine, Sizes sizes, Family family) {
        this.engine = engine;
        this.sizes = sizes;
        this.workspace = new Workspace(engine);
        this.cases = family.of(this);
    }

    List<KernelCase> cases() {
        return cases;
    }

    void close() {
        workspace.close();
    }

    private List<KernelCase> norms() {
        int m = sizes.rows();
        int d = sizes.hidden();
        Tensor[] x = pair(m, d);
        Tensor[] y = pair(m, d);
        Tensor[] dx = pair(m, d);
        Tensor weight = random(COMPUTE, 1, d);
        Tensor rstd = random(DType.F32, 1, m);
        Tensor result = random(DType.F32, 1, 1);
        double matrix = 2.0 * m * d;
        return List.of(
                KernelCase.ofBytes(
                        "rms_norm_forward",
                        shape(m, d),
                        2 * matrix,
                        i -> engine.rmsNormForward(x[i & 1], weight, 1e-5f, y[i & 1], rstd)),
                KernelCase.ofBytes(
                        "rms_norm_backward",
                        shape(m, d) + ", dx +=",
                        4 * matrix,
                        i -> engine.rmsNormBackward(y[i & 1], x[i & 1], weight, rstd, dx[i & 1], true, null)),
                KernelCase.ofBytes("fingerprint", shape(m, d) + ", waits", matrix, i -> engine.fingerprint(x[i & 1])),
                KernelCase.ofBytes("zero", shape(m, d), matrix, i -> engine.zero(dx[i & 1])),
                KernelCase.ofBytes(
                        "launch", "sum of one number", 8, i -> engine.sumOfSquares(result, rstd.columns(0, 1))));
    }

    private List<KernelCase> positionsAndRows() {
        int m = sizes.rows();
        int width = sizes.queryWidth();
        Tensor[] q = pair(m, width);
        Tensor[] y = pair(m, width);
        Tensor table = random(COMPUTE, sizes.vocabulary(), width);
        Tensor cosSin = random(DType.F32, sizes.sequenceLength(), sizes.headDim());
        Tensor positions = integers(m, sizes.sequenceLength());
        Tensor index = integers(m, sizes.vocabulary());
        double matrix = 2.0 * m * width;
        return List.of(
                KernelCase.ofBytes(
                        "rope",
                        shape(m, width),
                        2 * matrix,
                        i -> engine.rope(q[i & 1], cosSin, positions, sizes.headDim(), (i & 2) != 0)),
                KernelCase.ofBytes(
                        "gather_rows", shape(m, width), 2 * matrix, i -> engine.gatherRows(table, index, y[i & 1])));
    }

    private List<KernelCase> swiglu() {
        int m = sizes.rows();
        int width = sizes.intermediate();
        Tensor gate = random(COMPUTE, m, width);
        Tensor up = random(COMPUTE, m, width);
        Tensor y = random(COMPUTE, m, width);
        Tensor dGate = random(COMPUTE, m, width);
        Tensor dUp = random(COMPUTE, m, width);
        double matrix = 2.0 * m * width;
        return List.of(
                KernelCase.ofBytes(
                        "swiglu_forward", shape(m, width), 3 * matrix, i -> engine.swigluForward(gate, up, y)),
                KernelCase.ofBytes(
                        "swiglu_backward",
                        shape(m, width),
                        5 * matrix,
                        i -> engine.swigluBackward(y, gate, up, dGate, dUp)));
    }

    /** Only what the causal mask leaves counts: two products forward, five backward. */
    List<KernelCase> attention() {
        int m = sizes.rows();
        AttentionShape shape = sizes.attention();
        Sequences sequences = sizes.packed();
        Tensor q = random(COMPUTE, m, sizes.queryWidth());
        Tensor k = random(COMPUTE, m, sizes.keyValueWidth());
        Tensor v = random(COMPUTE, m, sizes.keyValueWidth());
        Tensor o = random(COMPUTE, m, sizes.queryWidth());
        Tensor dO = random(COMPUTE, m, sizes.queryWidth());
        Tensor dq = random(COMPUTE, m, sizes.queryWidth());
        Tensor dk = random(COMPUTE, m, sizes.keyValueWidth());
        Tensor dv = random(COMPUTE, m, sizes.keyValueWidth());
        Tensor logSumExp = random(DType.F32, m, sizes.heads());
        double product = 1.0 * sizes.sequenceLength() * m * sizes.queryWidth();
        String text = sizes.sequences() + " x " + sizes.sequenceLength() + ", heads " + sizes.heads() + "/"
                + sizes.keyValueHeads() + " of " + sizes.headDim();
        return List.of(
                KernelCase.ofFlops(
                        "attention_forward",
                        text,
                        2 * product,
                        i -> engine.attentionForward(shape, sequences, q, k, v, o, logSumExp)),
                KernelCase.ofFlops(
                        "attention_backward",
                        text,
                        5 * product,
                        i -> engine.attentionBackward(shape, sequences, q, k, v, o, logSumExp, dO, dq, dk, dv)));
    }

    private List<KernelCase> loss() {
        int rows = sizes.logitRows();
        int vocabulary = sizes.vocabulary();
        Tensor x = random(COMPUTE, rows, sizes.hidden());
        TensorView head = random(COMPUTE, vocabulary, sizes.hidden()).asReadOnly();
        Tensor logits = random(DType.F32, rows, vocabulary);
        Tensor dLogits = random(COMPUTE, rows, vocabulary);
        Tensor losses = random(DType.F32, 1, rows);
        Tensor targets = integers(rows, vocabulary);
        List<Projection> projection = List.of(new Projection(head, null, List.of(), logits, null, null, null));
        return List.of(
                KernelCase.ofFlops(
                        "head_forward",
                        shape(rows, sizes.hidden()) + " to " + vocabulary + " in f32",
                        2.0 * rows * sizes.hidden() * vocabulary,
                        i -> engine.linearForward(x, projection)),
                KernelCase.ofBytes(
                        "cross_entropy",
                        shape(rows, vocabulary),
                        6.0 * rows * vocabulary,
                        i -> engine.crossEntropy(logits, targets, 1f / rows, losses, dLogits)));
    }

    private List<KernelCase> optimizer() {
        int n = sizes.parameters();
        Tensor values = random(DType.F32, 1, n);
        Tensor gradients = random(DType.F32, 1, n);
        Tensor moment1 = random(DType.F32, 1, n);
        Tensor moment2 = random(DType.F32, 1, n);
        engine.zero(moment2); // random ones could be negative
        Tensor compute = random(COMPUTE, 1, n);
        Tensor sum = random(DType.F32, 1, 1);
        engine.sumOfSquares(gradients, sum);
        AdamW parameters = new AdamW(1e-6, 0.9, 0.999, 1e-8, 0, 1, 1);
        return List.of(
                KernelCase.ofBytes("sum_of_squares", n + " numbers", 4.0 * n, i -> engine.sumOfSquares(gradients, sum)),
                KernelCase.ofBytes(
                        "adam_w",
                        n + " numbers",
                        28.0 * n,
                        i -> engine.adamW(parameters, values, gradients, moment1, moment2, sum)),
                KernelCase.ofBytes("convert", n + " numbers to bf16", 6.0 * n, i -> engine.convert(values, compute)));
    }

    private static String shape(int rows, int cols) {
        return "[" + rows + ", " + cols + "]";
    }

    private Tensor[] pair(int rows, int cols) {
        return new Tensor[] {random(COMPUTE, rows, cols), random(COMPUTE, rows, cols)};
    }

    private Tensor random(DType dtype, int rows, int cols) {
        return new RandomMatrix(stream++, dtype, rows, cols, 1).upload(engine, workspace);
    }

    private Tensor integers(int count, int bound) {
        Tensor integers = workspace.tensor(MemoryKind.WORKSPACE, "integers", DType.I32, 1, count);
        engine.upload(new SplittableRandom(stream++).ints(count, 0, bound).toArray(), integers);
        return integers;
    }
}
