package dev.graft.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.graft.tensor.DType;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.TestInstance;

/** What the families of {@link EngineConformance} share: one engine for a family, one fixture for a test. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class Conformance {
    /** Null where there is none here, and all tests of the family are skipped. */
    @Nullable
    Engine engine;

    EngineFixture fixture;

    /** A fresh engine; the family closes it. */
    protected abstract Engine openEngine();

    @BeforeAll
    void open() {
        engine = openEngine();
    }

    @AfterAll
    void close() {
        if (engine != null) {
            engine.close();
        }
    }

    @BeforeEach
    void begin(TestInfo test) {
        fixture = new EngineFixture(engine, test.getDisplayName().hashCode());
    }

    @AfterEach
    void end() {
        fixture.close();
    }

    /** Skips the test where this machine does not compute in {@code precision}; F32 works everywhere. */
    DType compute(Precision precision) {
        assumeTrue(engine.supports(precision), () -> engine.name() + " does not support " + precision + " here");
        return precision.compute();
    }

    static void assertFinite(Operand operand) {
        for (float value : operand.values()) {
            assertThat(value).as(operand.toString()).isFinite();
        }
    }
}
