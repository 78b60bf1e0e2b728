package dev.graft.cpu;

import dev.graft.cpu.kernels.Add;
import dev.graft.cpu.kernels.Attention;
import dev.graft.cpu.kernels.CrossEntropy;
import dev.graft.cpu.kernels.Gelu;
import dev.graft.cpu.kernels.IndexedRows;
import dev.graft.cpu.kernels.Linear;
import dev.graft.cpu.kernels.LoraDropout;
import dev.graft.cpu.kernels.Optimizer;
import dev.graft.cpu.kernels.Rescale;
import dev.graft.cpu.kernels.RmsNorm;
import dev.graft.cpu.kernels.Rope;
import dev.graft.cpu.kernels.Swiglu;
import dev.graft.cpu.kernels.Transfer;
import dev.graft.cpu.kernels.Workbench;
import dev.graft.cpu.matmul.MatMul;
import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.engine.AdamW;
import dev.graft.engine.AttentionShape;
import dev.graft.engine.BufferLayout;
import dev.graft.engine.Dropout;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.engine.Projection;
import dev.graft.engine.Sequences;
import dev.graft.engine.check.Operands;
import dev.graft.tensor.DType;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/** The engine that every machine has. Every call is done when it returns. */
public final class CpuEngine implements Engine {
    /** As typed after {@code --engine}. */
    public static final String NAME = "cpu";

    private final WorkerPool pool;
    private final MatMul matMul;
    private final Workbench bench;

    /** @param pool its threads; becomes this engine's to close */
    public CpuEngine(WorkerPool pool) {
        this.pool = pool;
        matMul = MatMul.create(pool);
        bench = new Workbench(pool, matMul);
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String description() {
        return matMul.description() + ", vectors of " + FloatVector.SPECIES_PREFERRED.vectorBitSize() + " bits";
    }

    @Override
    public boolean supports(Precision precision) {
        return precision == Precision.F32 || matMul.supportsBf16();
    }

    @Override
    public long availableBytes() {
        return CpuMemory.availableBytes();
    }

    @Override
    public BufferLayout bufferLayout() {
        return BufferLayout.PLAIN;
    }

    @Override
    public void reserve(long bytes, long protectedBytes) {
        // the C library takes memory as it comes
    }

    @Override
    public Memory allocate(long bytes) {
        return CpuMemory.allocate(bytes);
    }

    @Override
    public TensorView freeze(MemorySegment stored, DType storedType, int rows, int cols, DType compute) {
        Operands.freeze(stored, storedType, rows, cols, compute);
        return FrozenWeights.freeze(bench, stored, storedType, rows, cols, compute);
    }

    @Override
    public long freezeBytes(DType storedType, int rows, int cols, DType compute) {
        return FrozenWeights.bytes(storedType, rows, cols, compute);
    }

    @Override
    public void upload(float[] source, Tensor destination) {
        Operands.upload(source, destination);
        Transfer.upload(bench, source, destination);
    }

    @Override
    public void upload(int[] source, Tensor destination) {
        Operands.upload(source, destination);
        Transfer.upload(source, destination);
    }

    @Override
    public float[] download(TensorView source) {
        Operands.download(source);
        return Transfer.download(bench, source);
    }

    @Override
    public void convert(TensorView source, Tensor destination) {
        Operands.convert(source, destination);
        Transfer.convert(bench, source, destination);
    }

    @Override
    public void add(TensorView a, TensorView b, Tensor y) {
        Operands.add(a, b, y);
        Add.run(bench, a, b, y);
    }

    @Override
    public void zero(Tensor destination) {
        Transfer.zero(bench, destination);
    }

    @Override
    public long fingerprint(TensorView tensor) {
        return Transfer.fingerprint(bench, tensor);
    }

    @Override
    public void gatherRows(TensorView table, TensorView index, Tensor y) {
        Operands.gatherRows(table, index, y);
        IndexedRows.gather(bench, table, index, y);
    }

    @Override
    public void scatterAddRows(TensorView y, TensorView index, Tensor table) {
        Operands.scatterAddRows(y, index, table);
        IndexedRows.scatterAdd(bench, y, index, table);
    }

    @Override
    public void linearForward(TensorView x, List<Projection> projections) {
        Operands.linearForward(x, projections);
        Linear.forward(bench, x, projections);
    }

    @Override
    public void linearBackward(TensorView x, List<Projection> projections, @Nullable Tensor dx) {
        Operands.linearBackward(x, projections, dx);
        Linear.backward(bench, x, projections, dx);
    }

    @Override
    public void rowNorms(TensorView weight, TensorView a, TensorView b, float scale, Tensor norms) {
        Operands.rowNorms(weight, a, b, norms);
        Rescale.rowNorms(bench, weight, a, b, scale, norms);
    }

    @Override
    public void rescaleForward(
            TensorView z,
            @Nullable TensorView magnitude,
            @Nullable TensorView norms,
            @Nullable TensorView bias,
            @Nullable TensorView residual,
            Tensor y) {
        Operands.rescaleForward(z, magnitude, norms, bias, residual, y);
        Rescale.forward(bench, z, magnitude, norms, bias, residual, y);
    }

    @Override
    public void rescaleBackward(
            TensorView dy, TensorView z, TensorView magnitude, TensorView norms, Tensor dz, Tensor magnitudeGradient) {
        Operands.rescaleBackward(dy, z, magnitude, norms, dz, magnitudeGradient);
        Rescale.backward(bench, dy, z, magnitude, norms, dz, magnitudeGradient);
    }

    @Override
    public void dropout(TensorView x, Dropout dropout, boolean complement, boolean accumulate, Tensor y) {
        Operands.dropout(x, y);
        LoraDropout.apply(bench, dropout, x, complement, accumulate, y);
    }

    @Override
    public void rmsNormForward(TensorView x, TensorView weight, float epsilon, Tensor y, Tensor rstd) {
        Operands.rmsNormForward(x, weight, y, rstd);
        RmsNorm.forward(bench, x, weight, epsilon, y, rstd);
    }

    @Override
    public void rmsNormBackward(
            TensorView dy,
            TensorView x,
            TensorView weight,
            TensorView rstd,
            Tensor dx,
            boolean accumulate,
            @Nullable Tensor weightGradient) {
        Operands.rmsNormBackward(dy, x, weight, rstd, dx, weightGradient);
        RmsNorm.backward(bench, dy, x, weight, rstd, dx, accumulate, weightGradient);
    }

    @Override
    public void rope(Tensor x, TensorView cosSin, TensorView positions, int headDim, boolean inverse) {
        Operands.rope(x, cosSin, positions, headDim);
        Rope.rotate(bench, x, cosSin, positions, headDim, inverse);
    }

    @Override
    public void attentionForward(
            AttentionShape shape,
            Sequences sequences,
            TensorView q,
            TensorView k,
            TensorView v,
            Tensor o,
            Tensor logSumExp) {
        Operands.attentionForward(shape, sequences, q, k, v, o, logSumExp);
        Attention.forward(bench, shape, sequences, q, k, v, o, logSumExp);
    }

    @Override
    public void attentionBackward(
            AttentionShape shape,
            Sequences sequences,
            TensorView q,
            TensorView k,
            TensorView v,
            TensorView o,
            TensorView logSumExp,
            TensorView dO,
            Tensor dq,
            Tensor dk,
            Tensor dv) {
        Operands.attentionBackward(shape, sequences, q, k, v, o, logSumExp, dO, dq, dk, dv);
        Attention.backward(bench, shape, sequences, q, k, v, o, logSumExp, dO, dq, dk, dv);
    }

    @Override
    public void swigluForward(TensorView gate, TensorView up, Tensor y) {
        Operands.swigluForward(gate, up, y);
        Swiglu.forward(bench, gate, up, y);
    }

    @Override
    public void swigluBackward(TensorView dy, TensorView gate, TensorView up, Tensor dgate, Tensor dup) {
        Operands.swigluBackward(dy, gate, up, dgate, dup);
        Swiglu.backward(bench, dy, gate, up, dgate, dup);
    }

    @Override
    public void geluForward(TensorView x, Tensor y) {
        Operands.geluForward(x, y);
        Gelu.forward(bench, x, y);
    }

    @Override
    public void geluBackward(TensorView dy, TensorView x, Tensor dx) {
        Operands.geluBackward(dy, x, dx);
        Gelu.backward(bench, dy, x, dx);
    }

    @Override
    public void crossEntropy(
            TensorView logits, TensorView targets, float gradScale, Tensor losses, @Nullable Tensor dlogits) {
        Operands.crossEntropy(logits, targets, losses, dlogits);
        CrossEntropy.run(bench, logits, targets, gradScale, losses, dlogits);
    }

    @Override
    public void sumOfSquares(TensorView x, Tensor result) {
        Operands.sumOfSquares(x, result);
        Optimizer.sumOfSquares(bench, x, result);
    }

    @Override
    public void adamW(
            AdamW parameters,
            Tensor values,
            TensorView gradients,
            Tensor moment1,
            Tensor moment2,
            TensorView sumOfSquares) {
        Operands.adamW(values, gradients, moment1, moment2, sumOfSquares);
        Optimizer.adamW(bench, parameters, values, gradients, moment1, moment2, sumOfSquares);
    }

    /** Frees the threads and the buffers; memory from {@link #allocate} stays its owner's. */
    @Override
    public void close() {
        bench.close();
        matMul.close();
        pool.close();
    }
}
