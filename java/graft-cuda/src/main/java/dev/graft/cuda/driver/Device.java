package dev.graft.cuda.driver;

import dev.graft.cuda.natives.CudaLibraries;
import dev.graft.engine.EngineFailure;
import dev.graft.tensor.DType;
import dev.graft.tensor.TensorView;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One GPU in use: its primary context, one stream that all work goes through in order, cuBLAS, and memory. Where the settings have
 * scratch for it, a second stream takes work that may run beside products, between {@link #fork} and {@link #join}. Used by one thread
 * at a time, whichever.
 */
public final class Device implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(Device.class);

    private final DeviceSettings settings;
    private final Deque<Runnable> closers = new ArrayDeque<>();
    private final Jcuda.Context context;
    private final Jcuda.Stream stream;
    private final @Nullable SideStream side;
    private final DeviceHeap heap;
    /** Null where all memory stays writable. */
    private final @Nullable ProtectedHeap weights;

    private final DeviceMemory own;
    private final Transfers transfers;
    private final Jcuda.Blas blas;
    private String name = "a GPU";
    private final int capability;
    private @Nullable Thread current;

    /**
     * Opens device {@code ordinal}.
     *
     * @throws EngineFailure where the driver refuses
     */
    public Device(CudaLibraries libraries, int ordinal, DeviceSettings settings) {
        this.settings = settings;
        Jcuda.load(libraries.jcudaFolder());
        try {
            context = Jcuda.retainContext(ordinal);
            closers.push(() -> Jcuda.releaseContext(context));
            makeCurrent();
            name = Jcuda.deviceName(context);
            capability = 10 * Jcuda.attribute(context, Jcuda.COMPUTE_CAPABILITY_MAJOR)
                    + Jcuda.attribute(context, Jcuda.COMPUTE_CAPABILITY_MINOR);
            stream = Jcuda.createStream();
            closers.push(() -> Jcuda.destroy(stream));
            side = settings.overlaps() ? new SideStream(stream) : null;
            if (side != null) {
                closers.push(side::close);
            }
            heap = new DeviceHeap(settings.chunk());
            closers.push(heap::close);
            weights = settings.readOnly() ? ProtectedHeap.open(context, stream, settings.chunk()) : null;
            if (weights != null) {
                closers.push(weights::close);
            }
            own = heap.allocate(settings.deviceBytes());
            closers.push(own::close);
            Staging staging = new Staging(stream, settings.staging());
            closers.push(staging::close);
            transfers = new Transfers(stream, staging);
            blas = Jcuda.createBlas(stream, own.address(), settings.blasWorkspace());
            closers.push(() -> Jcuda.destroy(blas));
        } catch (RuntimeException e) {
            release();
            throw e;
        }
    }

    /** Makes the device's context that of the calling thread. */
    public void makeCurrent() {
        Thread thread = Thread.currentThread();
        if (thread != current) {
            Jcuda.makeCurrent(context);
            current = thread;
        }
    }

    public DeviceSettings settings() {
        return settings;
    }

    /** Such as {@code NVIDIA H200}. */
    public String name() {
        return name;
    }

    /** 90 for compute capability 9.0. */
    public int capability() {
        return capability;
    }

    /** Such as {@code NVIDIA H200 (sm_90), driver CUDA 13.0, cuBLAS 12.6.4}. */
    public String description() {
        int driver = Jcuda.driverVersion();
        int cublas = Jcuda.version(blas);
        return String.format(
                Locale.ROOT,
                "%s (sm_%d), driver CUDA %d.%d, cuBLAS %d.%d.%d",
                name,
                capability,
                driver / 1000,
                driver % 1000 / 10,
                cublas / 10_000,
                cublas / 100 % 100,
                cublas % 100);
    }

    // ---- memory

    /** Device memory that is free, by the driver's word. */
    public long freeBytes() {
        return Jcuda.freeBytes();
    }

    /** Bytes given out and not yet freed, the engine's own included. */
    public long liveBytes() {
        return heap.liveBytes() + (weights == null ? 0 : weights.liveBytes());
    }

    /** Device memory with whatever was in it. */
    public DeviceMemory allocate(long bytes) {
        return heap.allocate(bytes);
    }

    /** Takes memory for all that will be allocated next at once, and for all that {@link #allocateProtected} will give. */
    public void reserve(long bytes, long protectedBytes) {
        heap.reserve(bytes);
        if (weights != null) {
            weights.reserve(protectedBytes);
        }
    }

    /** Whether the driver can keep memory from being written. */
    public boolean protects() {
        return weights != null;
    }

    /** The most that rounding adds to reserved memory. */
    public long roundingBytes() {
        return weights == null ? 0 : weights.granularity();
    }

    /** Memory, where {@link #protects}, that may be written until {@link #protect}. */
    public DeviceMemory allocateProtected(long bytes) {
        return requireWeights().allocate(bytes);
    }

    /** Waits for all work; from here on the device refuses to write what {@link #allocateProtected} gave. */
    public void protect() {
        requireWeights().protect();
    }

    private ProtectedHeap requireWeights() {
        return Objects.requireNonNull(weights, "no memory that can be protected");
    }

    /** The kernels' scratch. */
    public long scratch() {
        return own.address() + settings.blasWorkspace() + settings.sequenceTable();
    }

    /** The scratch of kernels on {@link #sideStream}. */
    public long sideScratch() {
        return scratch() + settings.scratch();
    }

    /** Room for the sequences of a batch. */
    public long sequenceTable() {
        return own.address() + settings.blasWorkspace();
    }

    /** Where a matrix of this device's memory starts. */
    public long address(TensorView tensor) {
        return range(tensor).address() + tensor.byteOffset();
    }

    private DeviceMemory range(TensorView tensor) {
        if (tensor.memory() instanceof OnDevice memory
                && (memory.range().belongsTo(heap) || memory.range().belongsTo(weights))) {
            return memory.range();
        }
        throw new IllegalArgumentException("tensor " + tensor + " does not lie in this engine's memory");
    }

    /** As {@link #address}, 0 for none. */
    public long addressOrZero(@Nullable TensorView tensor) {
        return tensor == null ? 0 : address(tensor);
    }

    // ---- work

    /** The stream, for the kernel library. */
    public long stream() {
        return stream.address();
    }

    /** What is put on {@link #sideStream} from here on follows all work so far, and may run beside what comes next. */
    public void fork() {
        requireSide().fork();
    }

    /** What comes next follows all work on {@link #sideStream} so far. */
    public void join() {
        requireSide().join();
    }

    /** The second stream, for the kernel library. */
    public long sideStream() {
        return requireSide().address();
    }

    private SideStream requireSide() {
        return Objects.requireNonNull(side, "no second stream");
    }

    /** Zeros in {@code rows} rows of {@code rowBytes}, {@code pitch} bytes apart. */
    public void zero(long address, long pitch, long rowBytes, long rows) {
        if (rows > 0 && rowBytes > 0) {
            Jcuda.zero(address, pitch, rowBytes, rows, stream);
        }
    }

    /** Waits for all work. Failures of earlier kernels come out here. */
    public void synchronize() {
        Jcuda.synchronize(stream);
    }

    /** Copies between host and device. */
    public Transfers transfers() {
        return transfers;
    }

    /**
     * A row-major matrix for {@link #multiply}.
     *
     * @param pitch elements from one row to the next
     * @param piece the allocation of the driver's that it lies in. Within one, memory is given out by the order of requests alone; from
     *     one to another it is the driver's choice what comes first
     */
    public record Factor(long address, DType dtype, long pitch, Object piece) {}

    /** A matrix of this device's memory as a factor. */
    public Factor factor(TensorView matrix) {
        return new Factor(
                address(matrix), matrix.dtype(), matrix.pitch(), range(matrix).chunk());
    }

    /**
     * Row-major {@code c[m, n] = op(a) op(b) [+ c]}, a being [m, k] or with {@code transA} [k, m], b [k, n] or with {@code transB}
     * [n, k].
     *
     * @param tf32 float32 products may be rounded to TF32
     */
    public void multiply(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            Factor a,
            Factor b,
            Factor c,
            boolean accumulate,
            boolean tf32) {
        multiply(transA, transB, m, n, k, a, 0, b, 0, c, 0, 1, accumulate, tf32);
    }

    /** {@code batch} products at once, their matrices {@code stride…} elements apart. */
    public void multiply(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            Factor a,
            long strideA,
            Factor b,
            long strideB,
            Factor c,
            long strideC,
            int batch,
            boolean accumulate,
            boolean tf32) {
        if (m == 0 || n == 0) {
            return;
        }
        try {
            // by columns every matrix is its transposed: cᵀ = op(b)ᵀ op(a)ᵀ
            Jcuda.gemm(
                    blas,
                    transB,
                    transA,
                    n,
                    m,
                    k,
                    operand(b, strideB),
                    operand(a, strideA),
                    accumulate,
                    operand(c, strideC),
                    batch,
                    tf32);
        } catch (EngineFailure e) {
            throw new EngineFailure(String.format(
                    Locale.ROOT,
                    "product of %s [%d, %d] and [%d, %d], %d at once, into %s: %s",
                    a.dtype,
                    m,
                    k,
                    k,
                    n,
                    batch,
                    c.dtype,
                    e.getMessage()));
        }
    }

    private static Jcuda.Operand operand(Factor factor, long stride) {
        return new Jcuda.Operand(factor.address, factor.dtype, Math.toIntExact(factor.pitch), stride);
    }

    @Override
    public void close() {
        if (!closers.isEmpty()) {
            makeCurrent();
            release();
        }
    }

    /** Undoes what was opened, the last first. After a kernel failed the driver refuses even that, and frees all with the process. */
    private void release() {
        while (!closers.isEmpty()) {
            try {
                closers.pop().run();
            } catch (EngineFailure e) {
                log.debug("while closing {}: {}", name, e.getMessage());
            }
        }
    }
}
