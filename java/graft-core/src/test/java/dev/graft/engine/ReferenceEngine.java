package dev.graft.engine;

import static dev.graft.engine.HostTensors.accumulate;
import static dev.graft.engine.HostTensors.read;
import static dev.graft.engine.HostTensors.readFloats;
import static dev.graft.engine.HostTensors.readInts;
import static dev.graft.engine.HostTensors.write;
import static dev.graft.engine.OperandChecks.apart;
import static dev.graft.engine.OperandChecks.shape;

import dev.graft.common.InputException;
import dev.graft.tensor.DType;
import dev.graft.tensor.HostMemory;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * An engine for tests: the float64 reference over host memory, rounded where results are stored. It is slow and strict: it
 * refuses operands of the wrong shape or dtype and outputs that overlap other operands, and it fills scratch with NaN.
 */
public final class ReferenceEngine implements Engine {
    private static final long ALIGNMENT = 64;
    private static final long LIMIT = 2L << 30;

    private long allocated;

    @Override
    public String name() {
        return "reference";
    }

    @Override
    public String description() {
        return "float64 reference for tests";
    }

    @Override
    public boolean supports(Precision precision) {
        return true;
    }

    @Override
    public long availableBytes() {
        return LIMIT - allocated;
    }

    @Override
    public BufferLayout bufferLayout() {
        return BufferLayout.PLAIN;
    }

    // ---- memory

    @Override
    public void reserve(long bytes, long protectedBytes) {
        // nothing to prepare
    }

    @Override
    public Memory allocate(long bytes) {
        if (bytes > availableBytes()) {
            throw new InputException("reference engine: " + bytes + " bytes asked, " + availableBytes() + " available");
        }
        Arena arena = Arena.ofShared();
        allocated += bytes;
        return new HostMemory(arena.allocate(bytes, ALIGNMENT), () -> {
            if (arena.scope().isAlive()) {
                arena.close();
                allocated -= bytes;
            }
        });
    }

    @Override
    public TensorView freeze(MemorySegment stored, DType storedType, int rows, int cols, DType compute) {
        if (storedType == compute) {
            return TensorView.readOnly(HostMemory.borrowed(stored.asReadOnly()), 0, compute, rows, cols);
        }
        float[] values = new float[rows * cols];
        HostTensors.readRow(stored, storedType, 0, values, 0, values.length);
        Tensor converted = Tensor.of(allocate(freezeBytes(storedType, rows, cols, compute)), 0, compute, rows, cols);
        HostTensors.writeFloats(values, converted);
        return converted.asReadOnly();
    }

    @Override
    public long freezeBytes(DType storedType, int rows, int cols, DType compute) {
        return storedType == compute ? 0 : (long) rows * cols * compute.byteSize();
    }

    @Override
    public void upload(float[] source, Tensor destination) {
        if (source.length != destination.size() || !destination.isContiguous()) {
            throw new IllegalArgumentException(source.length + " numbers to " + destination);
        }
        HostTensors.writeFloats(source, destination);
    }

    @Override
    public void upload(int[] source, Tensor destination) {
        if (destination.dtype() != DType.I32 || source.length > destination.size() || !destination.isContiguous()) {
            throw new IllegalArgumentException(source.length + " integers to " + destination);
        }
        HostTensors.writeInts(source, destination);
    }

    @Override
    public float[] download(TensorView source) {
        return readFloats(source);
    }

    @Override
    public void convert(TensorView source, Tensor destination) {
        shape("destination", destination, source.rows(), source.cols());
        apart(destination, source);
        HostTensors.writeFloats(readFloats(source), destination);
    }

    @Override
    public void add(TensorView a, TensorView b, Tensor y) {
        shape("a", a, y.dtype(), y.rows(), y.cols());
        shape("b", b, b.dtype() == DType.F32 ? DType.F32 : y.dtype(), y.rows(), y.cols());
        write(read(a).combine(read(b), Double::sum), y);
    }

    @Override
    public void zero(Tensor destination) {
        HostTensors.fill(destination, 0);
    }

    @Override
    public long fingerprint(TensorView tensor) {
        MemorySegment bytes = HostTensors.segment(tensor).asSlice(tensor.byteOffset(), tensor.byteSize());
        return ReferenceOps.fingerprint(bytes.toArray(ValueLayout.JAVA_BYTE));
    }

    // ---- rows by index

    @Override
    public void gatherRows(TensorView table, TensorView index, Tensor y) {
        shape("y", y, index.cols(), table.cols());
        apart(y, table, index);
        write(ReferenceOps.gatherRows(read(table), readInts(index)), y);
    }

    @Override
    public void scatterAddRows(TensorView y, TensorView index, Tensor table) {
        shape("y", y, index.cols(), table.cols());
        apart(table, y, index);
        int[] rows = readInts(index);
        for (int i = 0; i < rows.length; i++) {
            accumulate(read(y.rows(i, i + 1)), table.rows(rows[i], rows[i] + 1));
        }
    }

    // ---- linear layers

    @Override
    public void linearForward(TensorView x, List<Projection> projections) {
        for (Projection projection : projections) {
            OperandChecks.forward(x, projection);
        }
        Matrix input = read(x);
        for (Projection projection : projections) {
            Matrix y = ReferenceLinear.forward(input, read(projection.weight()), readOrNull(projection.bias()));
            for (LoraTerm term : projection.lora()) {
                ReferenceLinear.Lora lora = lora(term);
                Tensor hidden = term.hidden().rows(0, term.toRow() - term.fromRow());
                write(ReferenceLinear.loraHidden(input, lora), hidden);
                y.addRows(term.fromRow(), ReferenceLinear.loraForward(read(hidden), lora));
                spoilScratch(term);
            }
            Matrix residual = readOrNull(projection.residual());
            write(residual == null ? y : y.plus(residual), projection.y());
        }
    }

    @Override
    public void linearBackward(TensorView x, List<Projection> projections, @Nullable Tensor dx) {
        for (Projection projection : projections) {
            OperandChecks.backward(x, projection, dx);
        }
        Matrix input = read(x);
        Matrix inputGradient = Matrix.zeros(x.rows(), x.cols());
        for (Projection projection : projections) {
            Matrix dy = read(projection.y());
            if (dx != null) {
                inputGradient.addRows(0, ReferenceLinear.inputGradient(read(projection.weight()), dy));
            }
            if (projection.weightGradient() != null) {
                accumulate(ReferenceLinear.weightGradient(input, dy), projection.weightGradient());
            }
            if (projection.biasGradient() != null) {
                accumulate(dy.columnSums(), projection.biasGradient());
            }
            for (LoraTerm term : projection.lora()) {
                ReferenceLinear.LoraGradients gradients = loraBackward(input, term, dy);
                inputGradient.addRows(term.fromRow(), gradients.x());
            }
        }
        if (dx != null) {
            write(inputGradient, dx);
        }
    }

    private static ReferenceLinear.LoraGradients loraBackward(Matrix input, LoraTerm term, Matrix dy) {
        Matrix hidden = read(term.hidden().rows(0, term.toRow() - term.fromRow()));
        ReferenceLinear.LoraGradients gradients = ReferenceLinear.loraBackward(input, lora(term), hidden, dy);
        LoraTerm.Gradients targets = term.gradients();
        if (targets != null) {
            accumulate(gradients.a(), targets.a());
            accumulate(gradients.b(), targets.b());
            HostTensors.fill(targets.hidden(), Float.NaN);
        }
        spoilScratch(term);
        return gradients;
    }

    private static ReferenceLinear.Lora lora(LoraTerm term) {
        return new ReferenceLinear.Lora(
                term.fromRow(), term.toRow(), read(term.a()), read(term.b()), term.scale(), term.dropout());
    }

    private static void spoilScratch(LoraTerm term) {
        if (term.dropped() != null) {
            HostTensors.fill(term.dropped(), Float.NaN);
        }
    }

    private static @Nullable Matrix readOrNull(@Nullable TensorView view) {
        return view == null ? null : read(view);
    }

    // ---- what adapters do around linear layers

    @Override
    public void rowNorms(TensorView weight, TensorView a, TensorView b, float scale, Tensor norms) {
        shape("A", a, DType.F32, a.rows(), weight.cols());
        shape("B", b, DType.F32, weight.rows(), a.rows());
        shape("norms", norms, DType.F32, 1, weight.rows());
        apart(norms, weight, a, b);
        write(ReferenceRescale.rowNorms(read(weight), read(a), read(b), scale), norms);
    }

    @Override
    public void rescaleForward(
            TensorView z,
            @Nullable TensorView magnitude,
            @Nullable TensorView norms,
            @Nullable TensorView bias,
            @Nullable TensorView residual,
            Tensor y) {
        shape("y", y, z.dtype(), z.rows(), z.cols());
        apart(y, magnitude, norms, bias);
        write(
                ReferenceRescale.forward(
                        read(z), readOrNull(magnitude), readOrNull(norms), readOrNull(bias), readOrNull(residual)),
                y);
    }

    @Override
    public void rescaleBackward(
            TensorView dy, TensorView z, TensorView magnitude, TensorView norms, Tensor dz, Tensor magnitudeGradient) {
        shape("z", z, dy.rows(), dy.cols());
        shape("dz", dz, dy.dtype(), dy.rows(), dy.cols());
        shape("magnitude gradient", magnitudeGradient, DType.F32, 1, dy.cols());
        apart(magnitudeGradient, dy, z, magnitude, norms, dz);
        ReferenceRescale.Gradients gradients =
                ReferenceRescale.backward(read(dy), read(z), read(magnitude), read(norms));
        write(gradients.z(), dz);
        accumulate(gradients.magnitude(), magnitudeGradient);
    }

    @Override
    public void dropout(TensorView x, Dropout dropout, boolean complement, boolean accumulate, Tensor y) {
        shape("y", y, x.dtype(), x.rows(), x.cols());
        Matrix input = read(x);
        Matrix dropped = ReferenceLinear.dropout(input, dropout);
        Matrix result = complement ? input.plus(dropped.scaled(-1)) : dropped;
        if (accumulate) {
            apart(y, x);
            accumulate(result, y);
        } else {
            write(result, y);
        }
    }

    // ---- the rest of a decoder layer

    @Override
    public void rmsNormForward(TensorView x, TensorView weight, float epsilon, Tensor y, Tensor rstd) {
        shape("y", y, x.rows(), x.cols());
        shape("weight", weight, 1, x.cols());
        shape("rstd", rstd, DType.F32, 1, x.rows());
        apart(y, x, weight, rstd);
        Matrix input = read(x);
        write(ReferenceOps.rstd(input, epsilon), rstd);
        write(ReferenceOps.rmsNorm(input, read(weight), ReferenceOps.rstd(input, epsilon)), y);
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
        shape("dy", dy, x.rows(), x.cols());
        shape("dx", dx, x.rows(), x.cols());
        apart(dx, x, weight, rstd);
        ReferenceOps.NormGradients gradients =
                ReferenceOps.rmsNormBackward(read(dy), read(x), read(weight), read(rstd));
        if (accumulate) {
            apart(dx, dy);
            accumulate(gradients.x(), dx);
        } else {
            write(gradients.x(), dx);
        }
        if (weightGradient != null) {
            shape("weight gradient", weightGradient, DType.F32, 1, x.cols());
            accumulate(gradients.weight(), weightGradient);
        }
    }

    @Override
    public void rope(Tensor x, TensorView cosSin, TensorView positions, int headDim, boolean inverse) {
        shape("cosSin", cosSin, DType.F32, cosSin.rows(), headDim);
        shape("positions", positions, DType.I32, 1, x.rows());
        write(ReferenceOps.rope(read(x), read(cosSin), readInts(positions), headDim, inverse), x);
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
        OperandChecks.attention(shape, q, k, v, o, logSumExp);
        apart(o, q, k, v, logSumExp);
        ReferenceAttention.Output output = ReferenceAttention.forward(shape, sequences, read(q), read(k), read(v));
        write(output.o(), o);
        write(output.logSumExp(), logSumExp);
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
        OperandChecks.attention(shape, q, k, v, o, logSumExp);
        OperandChecks.attention(shape, dq, dk, dv, dO, logSumExp);
        for (Tensor output : List.of(dq, dk, dv)) {
            apart(output, q, k, v, o, logSumExp, dO);
        }
        ReferenceAttention.Gradients gradients = ReferenceAttention.backward(
                shape, sequences, read(q), read(k), read(v), read(o), read(logSumExp), read(dO));
        write(gradients.q(), dq);
        write(gradients.k(), dk);
        write(gradients.v(), dv);
    }

    @Override
    public void swigluForward(TensorView gate, TensorView up, Tensor y) {
        shape("up", up, gate.rows(), gate.cols());
        shape("y", y, gate.rows(), gate.cols());
        apart(y, gate, up);
        write(ReferenceOps.swiglu(read(gate), read(up)), y);
    }

    @Override
    public void swigluBackward(TensorView dy, TensorView gate, TensorView up, Tensor dgate, Tensor dup) {
        shape("dgate", dgate, gate.rows(), gate.cols());
        shape("dup", dup, gate.rows(), gate.cols());
        apart(dgate, dy, up, dup);
        apart(dup, dy, gate, dgate);
        Matrix gateGradient = ReferenceOps.swigluGateGradient(read(dy), read(gate), read(up));
        write(ReferenceOps.swigluUpGradient(read(dy), read(gate)), dup);
        write(gateGradient, dgate);
    }

    @Override
    public void geluForward(TensorView x, Tensor y) {
        shape("y", y, x.rows(), x.cols());
        apart(y, x);
        write(ReferenceOps.gelu(read(x)), y);
    }

    @Override
    public void geluBackward(TensorView dy, TensorView x, Tensor dx) {
        shape("dy", dy, x.rows(), x.cols());
        shape("dx", dx, x.rows(), x.cols());
        apart(dx, dy);
        write(ReferenceOps.geluGradient(read(dy), read(x)), dx);
    }

    @Override
    public void crossEntropy(
            TensorView logits, TensorView targets, float gradScale, Tensor losses, @Nullable Tensor dlogits) {
        shape("logits", logits, DType.F32, logits.rows(), logits.cols());
        shape("losses", losses, DType.F32, 1, logits.rows());
        shape("targets", targets, DType.I32, 1, logits.rows());
        Matrix scores = read(logits);
        write(ReferenceOps.crossEntropy(scores, readInts(targets)), losses);
        if (dlogits != null) {
            shape("dlogits", dlogits, logits.rows(), logits.cols());
            write(ReferenceOps.crossEntropyGradient(scores, readInts(targets), gradScale), dlogits);
        }
    }

    // ---- optimizer

    @Override
    public void sumOfSquares(TensorView x, Tensor result) {
        shape("result", result, DType.F32, 1, 1);
        HostTensors.fill(result, (float) ReferenceOps.sumOfSquares(read(x).values()));
    }

    @Override
    public void adamW(
            AdamW parameters,
            Tensor values,
            TensorView gradients,
            Tensor moment1,
            Tensor moment2,
            TensorView sumOfSquares) {
        Matrix p = read(values);
        Matrix m = read(moment1);
        Matrix v = read(moment2);
        double sum = readFloats(sumOfSquares)[0];
        ReferenceOps.adamW(parameters, p.values(), read(gradients).values(), m.values(), v.values(), sum);
        write(p, values);
        write(m, moment1);
        write(v, moment2);
    }

    @Override
    public void close() {}
}
