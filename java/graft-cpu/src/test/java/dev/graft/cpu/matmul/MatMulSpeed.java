package dev.graft.cpu.matmul;

import dev.graft.cpu.onednn.OneDnn;
import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.util.function.LongSupplier;

/**
 * How fast the products of a LoRA training step and of generation run, a table on standard output. Not a test: run {@code main}
 * with {@code onednn|java} and the number of threads, and perhaps a part of
 * the rows' names. With one
 * thread its processor time is counted, which other programs on the machine do not add to. Sizes are those of SmolLM2-135M at 1024 tokens, rank 16.
 */
final class MatMulSpeed {
    private static final long NANOS_PER_SIZE = 1_000_000_000L;

    private static LongSupplier clock = System::nanoTime;

    private MatMulSpeed() {}

    private record Case(String name, int m, int n, int k, boolean transA, boolean transB) {}

    private static final Case[] CASES = {
        new Case("forward q, o", 1024, 576, 576, false, true),
        new Case("forward k, v", 1024, 192, 576, false, true),
        new Case("forward gate", 1024, 1536, 576, false, true),
        new Case("forward down", 1024, 576, 1536, false, true),
        new Case("head", 256, 49152, 576, false, true),
        new Case("u = x At", 1024, 16, 576, false, true),
        new Case("u = x At", 1024, 16, 1536, false, true),
        new Case("y += u Bt", 1024, 576, 16, false, true),
        new Case("y += u Bt", 1024, 1536, 16, false, true),
        new Case("dx = dy W", 1024, 576, 576, false, false),
        new Case("dx = dy W", 1024, 576, 1536, false, false),
        new Case("dx = dy W", 1024, 1536, 576, false, false),
        new Case("dx head", 256, 576, 49152, false, false),
        new Case("du = dy B", 1024, 16, 576, false, false),
        new Case("dx += du A", 1024, 576, 16, false, false),
        new Case("dA = dut x", 16, 576, 1024, true, false),
        new Case("dA = dut x", 16, 1536, 1024, true, false),
        new Case("dB = dyt u", 576, 16, 1024, true, false),
        new Case("dB = dyt u", 1536, 16, 1024, true, false),
        new Case("one token q", 1, 576, 576, false, true),
        new Case("one token gate", 1, 1536, 576, false, true),
        new Case("one token down", 1, 576, 1536, false, true),
        new Case("one token head", 1, 49152, 576, false, true),
        new Case("four tokens gate", 4, 1536, 576, false, true),
        new Case("square", 1024, 1024, 1024, false, false),
    };

    public static void main(String[] args) {
        int threads = Integer.parseInt(args[1]);
        if (threads == 1) {
            clock = ManagementFactory.getThreadMXBean()::getCurrentThreadCpuTime;
        }
        try (WorkerPool pool = new WorkerPool(threads);
                MatMul matMul = args[0].equals("java") ? new JavaMatMul(pool) : new OneDnnMatMul(OneDnn.open(), pool)) {
            System.out.println(matMul.description());
            for (Case c : CASES) {
                if (args.length > 2 && !c.name.contains(args[2])) {
                    continue;
                }
                double f32 = measure(matMul, c, DType.F32);
                double bf16 = measure(matMul, c, DType.BF16);
                System.out.printf(
                        "%-18s M%5d N%6d K%6d %s%s | f32 %9.1f us %6.1f GFLOP/s %6.1f GB/s | bf16 %9.1f us %6.1f GFLOP/s"
                                + " %6.1f GB/s%n",
                        c.name,
                        c.m,
                        c.n,
                        c.k,
                        c.transA ? "T" : "N",
                        c.transB ? "T" : "N",
                        f32 * 1e6,
                        flops(c) / f32 / 1e9,
                        4 * values(c) / f32 / 1e9,
                        bf16 * 1e6,
                        flops(c) / bf16 / 1e9,
                        2 * values(c) / bf16 / 1e9);
            }
            small(pool, matMul);
        }
    }

    private static double flops(Case c) {
        return 2.0 * c.m * c.n * c.k;
    }

    private static double values(Case c) {
        return (double) c.m * c.k + (double) c.n * c.k + (double) c.m * c.n;
    }

    /** Best seconds per call. */
    private static double measure(MatMul matMul, Case c, DType type) {
        try (Arena arena = Arena.ofShared()) {
            Tensor a = c.transA ? random(arena, type, c.k, c.m) : random(arena, type, c.m, c.k);
            Tensor b = c.transB ? random(arena, type, c.n, c.k) : random(arena, type, c.k, c.n);
            Tensor result = random(arena, type, c.m, c.n);
            return best(() -> matMul.multiply(a, c.transA, b, c.transB, result));
        }
    }

    private static double best(Runnable call) {
        long end = System.nanoTime() + NANOS_PER_SIZE;
        long best = Long.MAX_VALUE;
        for (int i = 0; i < 5 || System.nanoTime() < end; i++) {
            long start = clock.getAsLong();
            call.run();
            best = Math.min(best, clock.getAsLong() - start);
        }
        return best * 1e-9;
    }

    /** Products of attention, one head's slice of [T, 9 * 64], and what the calls themselves cost. */
    private static void small(WorkerPool pool, MatMul matMul) {
        System.out.printf(
                "empty loop over the pool: %.2f us%n",
                1e6 * best(() -> pool.forEachRange(pool.size(), 1, (from, to, worker) -> {})));
        for (DType type : new DType[] {DType.F32, DType.BF16}) {
            for (int[] s : new int[][] {{1, 1, 1}, {16, 16, 16}, {64, 64, 64}, {64, 1024, 64}, {64, 64, 1024}}) {
                try (Arena arena = Arena.ofShared()) {
                    Tensor a = random(arena, type, s[0], 9 * Math.max(64, s[2])).columns(s[2], 2 * s[2]);
                    Tensor bt =
                            random(arena, type, s[1], 9 * Math.max(64, s[2])).columns(s[2], 2 * s[2]);
                    Tensor b = random(arena, type, s[2], 9 * Math.max(64, s[1])).columns(s[1], 2 * s[1]);
                    Tensor c = random(arena, type, s[0], 9 * Math.max(64, s[1])).columns(s[1], 2 * s[1]);
                    double transposed = best(() -> matMul.multiplyOn(0, a, false, bt, true, c));
                    double plain = best(() -> matMul.multiplyOn(0, a, false, b, false, c));
                    double work = 2.0 * s[0] * s[1] * s[2];
                    System.out.printf(
                            "%s on one worker %d x %d x %d: NT %.2f us %.1f GFLOP/s, NN %.2f us %.1f GFLOP/s%n",
                            type,
                            s[0],
                            s[1],
                            s[2],
                            transposed * 1e6,
                            work / transposed / 1e9,
                            plain * 1e6,
                            work / plain / 1e9);
                }
            }
        }
    }

    private static Tensor random(Arena arena, DType type, int rows, int cols) {
        long values = (long) rows * cols;
        var segment = arena.allocate(values * type.byteSize(), 64);
        for (long i = 0; i < values; i++) {
            int noise = (int) (i * 0x9E3779B9L) >>> 8;
            float value = noise * 0x1p-23f - 1;
            if (type == DType.F32) {
                segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
            } else {
                segment.setAtIndex(ValueLayout.JAVA_SHORT, i, dev.graft.tensor.BFloat16.fromFloat(value));
            }
        }
        return Tensor.of(HostMemory.borrowed(segment), 0, type, rows, cols);
    }
}
