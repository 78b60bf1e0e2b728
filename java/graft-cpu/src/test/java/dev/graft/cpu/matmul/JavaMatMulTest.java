package dev.graft.cpu.matmul;

import dev.graft.cpu.parallel.WorkerPool;

class JavaMatMulTest extends MatMulContract {
    @Override
    MatMul create(WorkerPool pool) {
        return new JavaMatMul(pool);
    }
}
