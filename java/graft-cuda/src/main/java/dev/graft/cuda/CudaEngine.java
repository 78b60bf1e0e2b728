package dev.graft.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.graft.common.InputException;
import dev.graft.cuda.driver.Device;
import dev.graft.cuda.driver.DeviceMemory;
import dev.graft.cuda.natives.CudaLibraries;
import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.cuda.ops.Attention;
import dev.graft.cuda.ops.CrossEntropy;
import dev.graft.cuda.ops.Freezing;
import dev.graft.cuda.ops.Gelu;
import dev.graft.cuda.ops.Gpu;
import dev.graft.cuda.ops.Linear;
import dev.graft.cuda.ops.Optimizer;
import dev.graft.cuda.ops.Rescaling;
import dev.graft.cuda.ops.RmsNorm;
import dev.graft.cuda.ops.Rope;
import dev.graft.cuda.ops.Rows;
import dev.graft.cuda.ops.Swiglu;
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
import dev.graft.tensor.HostFloats;
import dev.graft.tensor.Memory;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The engine for NVIDIA GPUs, and for their emulation. All work goes through one stream in order; calls return when it is
 * enqueued, and only {@link #download} and {@link #fingerprint} wait. After an {@link dev.graft.engine.EngineFailure} the GPU's
 * state is lost and the engine can only be closed.
 */
public final class CudaEngine implements Engine {
    /** As typed after {@code --engine}. */
    public static final String NAME = "cuda";

    /** The same engine on the emulator. */
    public static final String EMULATED_NAME = "cuda-emulated";

    /** What CUDA itself promises for an allocation. */
    private static final int ALIGNMENT = 256;

    /** The compute capability that has wgmma. */
    private static final int HOPPER = 90;

    private final CudaPlatform platform;
    private final Device device;
    private final Gpu gpu;
    private final BufferLayout layout;
    private final Freezing freezing;
    private final Rows rows;
    private final RmsNorm rmsNorm;
    private final Rope rope;
    private final Swiglu swiglu;
    private final Gelu gelu;
    private final CrossEntropy crossEntropy;
    private final Linear linear;
    private final Rescaling rescaling;
    private final Attention attention;
    private final Optimizer optimizer;

    /**
     * Opens a device.
     *
     * @throws dev.graft.engine.EngineFailure where the driver, cuBLAS or the kernels do not work here
     * @throws InputException for settings that this device cannot have
     */
    public CudaEngine(CudaPlatform platform, CudaSettings settings) {
        this.platform = platform;
        CudaLibraries libraries = CudaLibraries.load(platform);
        device = new Device(libraries, settings.device(), settings.memory());
        try {
            gpu = new Gpu(device, libraries.kernels());
            gpu.check(gpu.kernels().checkDevice(gpu.stream()), "start of the kernels");
            if (settings.wgmma() && !isHopper()) {
                throw new InputException(String.format(
                        Locale.ROOT,
                        "-Dgraft.cuda.wgmma=true: %s has compute capability %.1f; wgmma needs 9.0 (Hopper), leave it out",
                        device.name(),
                        device.capability() / 10.0));
            }
        } catch (RuntimeException e) {
            device.close();
            throw e;
        }
        layout = new BufferLayout(
                ALIGNMENT, settings.border(), settings.memory().deviceBytes() + device.roundingBytes());
        freezing = new Freezing(gpu, layout);
        rows = new Rows(gpu);
        rmsNorm = new RmsNorm(gpu);
        rope = new Rope(gpu);
        swiglu = new Swiglu(gpu);
        gelu = new Gelu(gpu);
        crossEntropy = new CrossEntropy(gpu);
        linear = new Linear(gpu, settings.tf32());
        rescaling = new Rescaling(gpu);
        attention = new Attention(gpu, settings.wgmma());
        optimizer = new Optimizer(gpu);
    }

    @Override
    public String name() {
        return platform == CudaPlatform.EMULATED ? EMULATED_NAME : NAME;
    }

    @Override
    public String description() {
        device.makeCurrent();
        return device.description();
    }

    @Override
    public boolean supports(Precision precision) {
        return true;
    }

    @Override
    public long availableBytes() {
        device.makeCurrent();
        return Math.max(0, device.freeBytes() - device.settings().headroom())
                + device.settings().deviceBytes();
    }

    @Override
    public BufferLayout bufferLayout() {
        return layout;
    }

    /** Whether this GPU has what {@link CudaSettings#wgmma} asks for. */
    public boolean isHopper() {
        return device.capability() == HOPPER;
    }

    /** Device memory given out and not yet freed, the engine's own included. */
    public long liveBytes() {
        return device.liveBytes();
    }

    @Override
    public void reserve(long bytes, long protectedBytes) {
        device.makeCurrent();
        device.reserve(bytes, protectedBytes);
    }

    @Override
    public Memory allocate(long bytes) {
        device.makeCurrent();
        DeviceMemory memory = device.allocate(bytes);
        try {
            device.zero(memory.address(), memory.byteSize(), memory.byteSize(), 1);
            return memory;
        } catch (RuntimeException e) {
            memory.close();
            throw e;
        }
    }

    @Override
    public TensorView freeze(MemorySegment stored, DType storedType, int rows, int cols, DType compute) {
        Operands.freeze(stored, storedType, rows, cols, compute);
        device.makeCurrent();
        return freezing.freeze(stored, storedType, rows, cols, compute);
    }

    @Override
    public long freezeBytes(DType storedType, int rows, int cols, DType compute) {
        return freezing.bytes(rows, cols, compute);
    }

    @Override
    public boolean protects(int rows) {
        return freezing.protects(rows);
    }

    @Override
    public void protectFrozen() {
        device.makeCurrent();
        freezing.protect();
    }

    @Override
    public void upload(float[] source, Tensor destination) {
        Operands.upload(source, destination);
        device.makeCurrent();
        device.transfers().upload(source, gpu.at(destination), destination.dtype());
    }

    @Override
    public void upload(int[] source, Tensor destination) {
        Operands.upload(source, destination);
        device.makeCurrent();
        device.transfers().upload(source, gpu.at(destination));
    }

    @Override
    public float[] download(TensorView source) {
        Operands.download(source);
        device.makeCurrent();
        DType dtype = source.dtype();
        int size = dtype.byteSize();
        float[] values = new float[(int) source.size()];
        device.transfers()
                .download(
                        gpu.at(source),
                        source.pitch() * size,
                        (long) source.cols() * size,
                        source.rows(),
                        (pinned, offset, bytes) ->
                                read(pinned, dtype, values, (int) (offset / size), (int) (bytes / size)));
        return values;
    }

    private static void read(MemorySegment pinned, DType dtype, float[] values, int from, int count) {
        switch (dtype) {
            case F32 -> MemorySegment.copy(pinned, JAVA_FLOAT_UNALIGNED, 0, values, from, count);
            case I32 -> {
                for (int i = 0; i < count; i++) {
                    values[from + i] = pinned.get(JAVA_INT_UNALIGNED, 4L * i);
                }
            }
            default -> System.arraycopy(HostFloats.read(pinned, dtype, 0, count), 0, values, from, count);
        }
    }

    @Override
    public void convert(TensorView source, Tensor destination) {
        Operands.convert(source, destination);
        device.makeCurrent();
        gpu.convert(source, destination);
    }

    @Override
    public void add(TensorView a, TensorView b, Tensor y) {
        Operands.add(a, b, y);
        device.makeCurrent();
        rows.add(a, b, y);
    }

    @Override
    public void zero(Tensor destination) {
        device.makeCurrent();
        gpu.zero(destination);
    }

    @Override
    public long fingerprint(TensorView tensor) {
        device.makeCurrent();
        int size = tensor.dtype().byteSize();
        long result = gpu.scratch();
        gpu.check(
                gpu.kernels()
                        .fingerprint(
                                gpu.stream(),
                                gpu.at(tensor),
                                (long) tensor.cols() * size,
                                tensor.pitch() * size,
                                tensor.rows(),
                                result),
                "fingerprint",
                "tensor",
                tensor);
        return device.transfers().downloadLong(result);
    }

    @Override
    public void gatherRows(TensorView table, TensorView index, Tensor y) {
        Operands.gatherRows(table, index, y);
        device.makeCurrent();
        rows.gather(table, index, y);
    }

    @Override
    public void scatterAddRows(TensorView y, TensorView index, Tensor table) {
        Operands.scatterAddRows(y, index, table);
        device.makeCurrent();
        rows.scatterAdd(y, index, table);
    }

    @Override
    public void linearForward(TensorView x, List<Projection> projections) {
        Operands.linearForward(x, projections);
        device.makeCurrent();
        linear.forward(x, projections);
    }

    @Override
    public void linearBackward(TensorView x, List<Projection> projections, @Nullable Tensor dx) {
        Operands.linearBackward(x, projections, dx);
        device.makeCurrent();
        linear.backward(x, projections, dx);
    }

    @Override
    public void rowNorms(TensorView weight, TensorView a, TensorView b, float scale, Tensor norms) {
        Operands.rowNorms(weight, a, b, norms);
        device.makeCurrent();
        rescaling.rowNorms(weight, a, b, scale, norms);
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
        device.makeCurrent();
        rescaling.forward(z, magnitude, norms, bias, residual, y);
    }

    @Override
    public void rescaleBackward(
            TensorView dy, TensorView z, TensorView magnitude, TensorView norms, Tensor dz, Tensor magnitudeGradient) {
        Operands.rescaleBackward(dy, z, magnitude, norms, dz, magnitudeGradient);
        device.makeCurrent();
        rescaling.backward(dy, z, magnitude, norms, dz, magnitudeGradient);
    }

    @Override
    public void dropout(TensorView x, Dropout dropout, boolean complement, boolean accumulate, Tensor y) {
        Operands.dropout(x, y);
        device.makeCurrent();
        rescaling.dropout(x, dropout, complement, accumulate, y);
    }

    @Override
    public void rmsNormForward(TensorView x, TensorView weight, float epsilon, Tensor y, Tensor rstd) {
        Operands.rmsNormForward(x, weight, y, rstd);
        device.makeCurrent();
        rmsNorm.forward(x, weight, epsilon, y, rstd);
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
        device.makeCurrent();
        rmsNorm.backward(dy, x, weight, rstd, dx, accumulate, weightGradient);
    }

    @Override
    public void rope(Tensor x, TensorView cosSin, TensorView positions, int headDim, boolean inverse) {
        Operands.rope(x, cosSin, positions, headDim);
        device.makeCurrent();
        rope.rotate(x, cosSin, positions, headDim, inverse);
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
        device.makeCurrent();
        attention.forward(shape, sequences, q, k, v, o, logSumExp);
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
        device.makeCurrent();
        attention.backward(shape, sequences, q, k, v, o, logSumExp, dO, dq, dk, dv);
    }

    @Override
    public void swigluForward(TensorView gate, TensorView up, Tensor y) {
        Operands.swigluForward(gate, up, y);
        device.makeCurrent();
        swiglu.forward(gate, up, y);
    }

    @Override
    public void swigluBackward(TensorView dy, TensorView gate, TensorView up, Tensor dgate, Tensor dup) {
        Operands.swigluBackward(dy, gate, up, dgate, dup);
        device.makeCurrent();
        swiglu.backward(dy, gate, up, dgate, dup);
    }

    @Override
    public void geluForward(TensorView x, Tensor y) {
        Operands.geluForward(x, y);
        device.makeCurrent();
        gelu.forward(x, y);
    }

    @Override
    public void geluBackward(TensorView dy, TensorView x, Tensor dx) {
        Operands.geluBackward(dy, x, dx);
        device.makeCurrent();
        gelu.backward(dy, x, dx);
    }

    @Override
    public void crossEntropy(
            TensorView logits, TensorView targets, float gradScale, Tensor losses, @Nullable Tensor dlogits) {
        Operands.crossEntropy(logits, targets, losses, dlogits);
        device.makeCurrent();
        crossEntropy.losses(logits, targets, gradScale, losses, dlogits);
    }

    @Override
    public void sumOfSquares(TensorView x, Tensor result) {
        Operands.sumOfSquares(x, result);
        device.makeCurrent();
        optimizer.sumOfSquares(x, result);
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
        device.makeCurrent();
        optimizer.adamW(parameters, values, gradients, moment1, moment2, sumOfSquares);
    }

    /** Frees the device, with all memory that was given out. */
    @Override
    public void close() {
        device.close();
    }
}
