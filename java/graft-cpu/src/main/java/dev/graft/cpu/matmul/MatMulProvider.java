package dev.graft.cpu.matmul;

import dev.graft.cpu.onednn.OneDnn;
import dev.graft.cpu.onednn.OneDnnException;
import dev.graft.cpu.parallel.WorkerPool;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Chooses the implementation of {@link MatMul}, once per engine. */
final class MatMulProvider {
    private static final Logger LOG = LoggerFactory.getLogger(MatMul.class);

    private MatMulProvider() {}

    static MatMul create(WorkerPool pool) {
        MatMul matMul;
        try {
            matMul = new OneDnnMatMul(OneDnn.open(), pool);
        } catch (OneDnnException unavailable) {
            LOG.warn(
                    "{}; matrix products run in plain Java, several times slower. Remedy: put org.bytedeco:dnnl with the"
                            + " classifier of this platform on the class path",
                    unavailable.getMessage());
            return new JavaMatMul(pool);
        }
        LOG.debug("matrix products: {}", matMul.description());
        return matMul;
    }
}
