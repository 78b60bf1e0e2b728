package dev.graft.cpu.onednn;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cpu.onednn.MatMulLayout.Addition;
import dev.graft.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The code for one {@link MatMulLayout} with its arguments, ready to be pointed at matrices and run by one thread. The owner is
 * an {@link OneDnnWorker}.
 */
final class MatMulPrimitive implements AutoCloseable {
    // typedef struct { int arg; dnnl_memory_t memory; } dnnl_exec_arg_t
    private static final long EXEC_ARG_BYTES = 16;
    private static final long EXEC_ARG_MEMORY = 8;

    private final Arena arena = Arena.ofShared();
    private final List<Long> memories = new ArrayList<>();
    private final MemorySegment args;
    private final long argsAddress;
    private final int argCount;
    private final long engine;

    private long primitive;
    private long src;
    private long weights;
    private long dst;
    private long bias; // 0 where the layout has none; likewise the next
    private long addend;
    private long scratchpad;
    private long scratchpadBytes;
    private String implementation = "";

    MatMulPrimitive(long engine, MatMulLayout layout) {
        this.engine = engine;
        args = arena.allocate(6 * EXEC_ARG_BYTES, EXEC_ARG_MEMORY);
        argsAddress = args.address();
        try {
            build(layout);
        } catch (RuntimeException | Error failed) {
            close();
            throw failed;
        }
        argCount = memories.size();
    }

    private void build(MatMulLayout layout) {
        Descs descs = new Descs();
        try {
            long a = descs.matrix(layout.m(), layout.k(), layout.inputs(), layout.transA(), layout.pitchA());
            long b = descs.matrix(layout.k(), layout.n(), layout.inputs(), layout.transB(), layout.pitchB());
            long c = descs.matrix(layout.m(), layout.n(), layout.output(), false, layout.pitchC());
            DType biasType = layout.bias();
            long biasDesc = biasType == null ? 0 : descs.matrix(1, layout.n(), biasType, false, layout.n());
            descs.primitive =
                    OneDnnApi.createMatMulDesc(engine, a, b, biasDesc, c, descs.attributes(layout.addition(), c));
            implementation = OneDnnApi.implementationName(descs.primitive);
            primitive = OneDnnApi.createPrimitive(descs.primitive);
            src = addArgument(OneDnnApi.ARG_SRC, a);
            weights = addArgument(OneDnnApi.ARG_WEIGHTS, b);
            dst = addArgument(OneDnnApi.ARG_DST, c);
            bias = biasType == null ? 0 : addArgument(OneDnnApi.ARG_BIAS, biasDesc);
            addend = layout.addition() == Addition.ADDEND ? addArgument(OneDnnApi.ARG_POST_OP_0_SRC_1, c) : 0;
            long scratchpadDesc = OneDnnApi.scratchpadDesc(descs.primitive);
            scratchpadBytes = OneDnnApi.memoryDescSize(scratchpadDesc);
            scratchpad = scratchpadBytes == 0 ? 0 : addArgument(OneDnnApi.ARG_SCRATCHPAD, scratchpadDesc);
        } finally {
            descs.close();
        }
    }

    private long addArgument(int role, long desc) {
        long memory = OneDnnApi.createMemory(engine, desc);
        long offset = memories.size() * EXEC_ARG_BYTES;
        args.set(JAVA_INT, offset, role);
        args.set(JAVA_LONG, offset + EXEC_ARG_MEMORY, memory);
        memories.add(memory);
        return memory;
    }

    /** Which of oneDNN's implementations this is, for instance {@code brg_matmul:avx512_core}. */
    String implementation() {
        return implementation;
    }

    long scratchpadBytes() {
        return scratchpadBytes;
    }

    /** Runs the product over matrices at these addresses; those that the layout lacks are ignored. */
    void execute(long stream, long a, long b, long biasAddress, long addendAddress, long c, long scratch) {
        OneDnnApi.setDataHandle(src, a);
        OneDnnApi.setDataHandle(weights, b);
        OneDnnApi.setDataHandle(dst, c);
        if (bias != 0) {
            OneDnnApi.setDataHandle(bias, biasAddress);
        }
        if (addend != 0) {
            OneDnnApi.setDataHandle(addend, addendAddress);
        }
        if (scratchpad != 0) {
            OneDnnApi.setDataHandle(scratchpad, scratch);
        }
        OneDnnApi.execute(primitive, stream, argCount, argsAddress);
    }

    @Override
    public void close() {
        OneDnnApi.destroyPrimitive(primitive);
        primitive = 0;
        memories.forEach(OneDnnApi::destroyMemory);
        memories.clear();
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    /** What is needed only while a primitive is built. */
    private static final class Descs implements AutoCloseable {
        private final List<Long> matrices = new ArrayList<>();
        private long attr;
        private long postOps;
        private long primitive;

        /** op(x) as [rows, cols], where x is transposed in memory or not. */
        long matrix(int rows, int cols, DType type, boolean transposed, long pitch) {
            int dataType = type == DType.F32 ? OneDnnApi.F32 : OneDnnApi.BF16;
            long desc = transposed
                    ? OneDnnApi.createMatrixDesc(rows, cols, dataType, 1, pitch)
                    : OneDnnApi.createMatrixDesc(rows, cols, dataType, pitch, 1);
            matrices.add(desc);
            return desc;
        }

        long attributes(Addition addition, long destination) {
            attr = OneDnnApi.createStrictAttr();
            if (addition != Addition.NONE) {
                postOps = OneDnnApi.createPostOps();
                if (addition == Addition.DESTINATION) {
                    OneDnnApi.appendSum(postOps);
                } else {
                    OneDnnApi.appendBinaryAdd(postOps, destination);
                }
                OneDnnApi.setPostOps(attr, postOps);
            }
            return attr;
        }

        @Override
        public void close() {
            OneDnnApi.destroyPrimitiveDesc(primitive);
            OneDnnApi.destroyPostOps(postOps);
            OneDnnApi.destroyAttr(attr);
            matrices.forEach(OneDnnApi::destroyMemoryDesc);
        }
    }
}
