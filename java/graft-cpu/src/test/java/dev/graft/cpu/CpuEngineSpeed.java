package dev.graft.cpu;

import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.engine.AdamW;
import dev.graft.engine.AttentionShape;
import dev.graft.engine.Dropout;
import dev.graft.engine.LoraTerm;
import dev.graft.engine.MemoryKind;
import dev.graft.engine.Projection;
import dev.graft.engine.Sequences;
import dev.graft.engine.Workspace;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * Measures every operation at SmolLM2-135M's sizes and prints time and rate: {@code java -cp ... CpuEngineSpeed [threads]}. Not a
 * test; a look at where time goes, where the JMH benchmarks would take minutes.
 */
final class CpuEngineSpeed {
    private static final double SECONDS = Double.parseDouble(System.getProperty("seconds", "2"));
    private static final int M = 1024;
    private static final int D = 576;
    private static final int FF = 1536;
    private static final int V = 49152;
    private static final int RANK = 8;
    private static final AttentionShape SHAPE = new AttentionShape(9, 3, 64, 0.125f, 0);

    private final CpuEngine engine;
    private final Workspace workspace;
    private final DType dtype;
    private final boolean oneThread;
    private final Random random = new Random(1);

    private CpuEngineSpeed(CpuEngine engine, DType dtype, boolean oneThread) {
        this.engine = engine;
        this.oneThread = oneThread;
        this.dtype = dtype;
        workspace = new Workspace(engine);
    }

    public static void main(String[] args) {
        int threads = args.length > 0
                ? Integer.parseInt(args[0])
                : Runtime.getRuntime().availableProcessors();
        String only = args.length > 1 ? args[1] : "";
        try (CpuEngine engine = new CpuEngine(new WorkerPool(threads))) {
            for (DType dtype : new DType[] {DType.F32, DType.BF16}) {
                CpuEngineSpeed speed = new CpuEngineSpeed(engine, dtype, threads == 1);
                speed.measureAll(only);
                speed.workspace.close();
            }
        }
    }

    private Tensor f32(int rows, int cols) {
        return random(DType.F32, rows, cols);
    }

    private Tensor random(int rows, int cols) {
        return random(dtype, rows, cols);
    }

    private Tensor random(DType type, int rows, int cols) {
        Tensor tensor = workspace.tensor(MemoryKind.WORKSPACE, "", type, rows, cols);
        float[] values = new float[rows * cols];
        for (int i = 0; i < values.length; i++) {
            values[i] = (random.nextFloat() - 0.5f) * 0.2f;
        }
        engine.upload(values, tensor);
        return tensor;
    }

    private Tensor rotations(int positions, int headDim) {
        float[] values = new float[positions * headDim];
        for (int i = 0; i < values.length; i++) {
            boolean cosine = i % headDim < headDim / 2;
            values[i] = (float) (cosine ? Math.cos(i / headDim) : Math.sin(i / headDim));
        }
        Tensor tensor = f32(positions, headDim);
        engine.upload(values, tensor);
        return tensor;
    }

    private Tensor integers(int count, int bound) {
        Tensor tensor = workspace.tensor(MemoryKind.WORKSPACE, "", DType.I32, 1, count);
        engine.upload(random.ints(count, 0, bound).toArray(), tensor);
        return tensor;
    }

    private void measureAll(String only) {
        int size = dtype.byteSize();
        Tensor x = random(M, D);
        Tensor y = random(M, D);
        Tensor dy = random(M, D);
        Tensor rstd = f32(1, M);
        Tensor w = random(1, D);
        Tensor dw = f32(1, D);
        Tensor tokens = integers(M, V);
        Tensor table = random(V, D);
        Tensor tableGradient = f32(V, D);
        bytes(only, "gather", 2L * M * D * size, () -> engine.gatherRows(table, tokens, y));
        bytes(only, "scatterAdd", (long) M * D * (size + 8), () -> engine.scatterAddRows(dy, tokens, tableGradient));
        bytes(only, "fingerprint", table.byteSize(), () -> engine.fingerprint(table));
        bytes(only, "rmsNormForward", 2L * M * D * size, () -> engine.rmsNormForward(x, w, 1e-5f, y, rstd));
        bytes(
                only,
                "rmsNormBackward+=",
                4L * M * D * size,
                () -> engine.rmsNormBackward(dy, x, w, rstd, y, true, null));
        bytes(
                only,
                "rmsNormBackward+dw",
                5L * M * D * size,
                () -> engine.rmsNormBackward(dy, x, w, rstd, y, false, dw));
        Tensor cosSin = rotations(2048, 64);
        Tensor positions = integers(M, 2048);
        bytes(only, "rope", 2L * M * D * size, () -> engine.rope(x, cosSin, positions, 64, false));
        Tensor gate = random(M, FF);
        Tensor up = random(M, FF);
        Tensor act = random(M, FF);
        Tensor dGate = random(M, FF);
        Tensor dUp = random(M, FF);
        bytes(only, "swigluForward", 3L * M * FF * size, () -> engine.swigluForward(gate, up, act));
        bytes(only, "swigluBackward", 5L * M * FF * size, () -> engine.swigluBackward(act, gate, up, dGate, dUp));
        Tensor other = random(dtype == DType.F32 ? DType.BF16 : DType.F32, M, FF);
        bytes(only, "convert", M * FF * 6L, () -> engine.convert(gate, other));
        attention(only);
        linear(only, x, "q 576->576", D, D, null);
        linear(only, x, "gate 576->1536", D, FF, null);
        linear(only, x, "gate, dropout", D, FF, new Dropout(0.1f, 1, 1, 1));
        int rows = 256;
        Tensor logits = f32(rows, V);
        Tensor targets = integers(rows, V);
        Tensor losses = f32(1, rows);
        Tensor dLogits = random(rows, V);
        bytes(
                only,
                "crossEntropy 256 rows",
                (long) rows * V * (8 + size),
                () -> engine.crossEntropy(logits, targets, 1e-3f, losses, dLogits));
        int n = 4_000_000;
        Tensor p = f32(1, n);
        Tensor g = f32(1, n);
        Tensor m1 = f32(1, n);
        Tensor m2 = f32(1, n);
        engine.zero(m2);
        Tensor sum = f32(1, 1);
        bytes(only, "sumOfSquares 4M", 4L * n, () -> engine.sumOfSquares(g, sum));
        AdamW adamW = new AdamW(1e-4, 0.9, 0.999, 1e-8, 0.01, 10, 1);
        bytes(only, "adamW 4M", 28L * n, () -> engine.adamW(adamW, p, g, m1, m2, sum));
    }

    private void attention(String only) {
        Tensor q = random(M, D);
        Tensor k = random(M, 192);
        Tensor v = random(M, 192);
        Tensor o = random(M, D);
        Tensor dO = random(M, D);
        Tensor dq = random(M, D);
        Tensor dk = random(M, 192);
        Tensor dv = random(M, 192);
        Tensor lse = f32(M, 9);
        for (Sequences s : List.of(Sequences.packed(256, 256, 256, 256), Sequences.packed(1024))) {
            long pairs = Arrays.stream(s.queryLength())
                    .mapToLong(t -> t * (t + 1L) / 2)
                    .sum();
            String name = s.count() + " x " + s.queryLength()[0];
            flops(
                    only,
                    "attentionForward " + name,
                    4 * pairs * D,
                    () -> engine.attentionForward(SHAPE, s, q, k, v, o, lse));
            flops(
                    only,
                    "attentionBackward " + name,
                    10 * pairs * D,
                    () -> engine.attentionBackward(SHAPE, s, q, k, v, o, lse, dO, dq, dk, dv));
        }
        Sequences decode = new Sequences(new int[] {0}, new int[] {1}, new int[] {0}, new int[] {M});
        Tensor q1 = random(1, D);
        Tensor o1 = random(1, D);
        Tensor lse1 = f32(1, 9);
        bytes(
                only,
                "attention, 1 query",
                2 * k.byteSize(),
                () -> engine.attentionForward(SHAPE, decode, q1, k, v, o1, lse1));
    }

    private void linear(String only, Tensor x, String name, int k, int n, @Nullable Dropout dropout) {
        Tensor y = random(M, n);
        Tensor residual = random(M, n);
        LoraTerm.Gradients gradients = new LoraTerm.Gradients(f32(RANK, k), f32(n, RANK), random(M, RANK));
        Tensor dropped = dropout == null ? null : random(M, k);
        LoraTerm term =
                new LoraTerm(0, M, random(RANK, k), random(n, RANK), 2, random(M, RANK), dropout, dropped, gradients);
        Tensor weight = random(n, k);
        Projection frozen = new Projection(weight, null, List.of(), y, residual, null, null);
        Projection lora = new Projection(weight, null, List.of(term), y, residual, null, null);
        Tensor dx = random(M, k);
        long flops = 2L * M * n * k;
        flops(only, "linear frozen fwd " + name, flops, () -> engine.linearForward(x, List.of(frozen)));
        flops(only, "linear lora fwd " + name, flops, () -> engine.linearForward(x, List.of(lora)));
        flops(only, "linear frozen bwd " + name, flops, () -> engine.linearBackward(x, List.of(frozen), dx));
        flops(only, "linear lora bwd " + name, flops, () -> engine.linearBackward(x, List.of(lora), dx));
    }

    private void bytes(String only, String name, long bytes, Runnable call) {
        report(only, name, bytes, "GB/s", call);
    }

    private void flops(String only, String name, long flops, Runnable call) {
        report(only, name, flops, "GFLOP/s", call);
    }

    /** With one thread its own processor time, which other programs do not disturb. */
    private long now() {
        return oneThread ? ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() : System.nanoTime();
    }

    /** The best of many runs: what the code can do when nobody disturbs it. */
    private void report(String only, String name, long amount, String unit, Runnable call) {
        if (!name.startsWith(only)) {
            return;
        }
        long best = Long.MAX_VALUE;
        long end = System.nanoTime() + (long) (SECONDS * 1e9);
        for (int i = 0; i < 10 || System.nanoTime() < end; i++) {
            long start = now();
            call.run();
            best = Math.min(best, now() - start);
        }
        System.out.println(String.format(
                Locale.ROOT, "%-4s %-36s %9.3f ms %8.1f %s", dtype, name, best / 1e6, (double) amount / best, unit));
    }
}
