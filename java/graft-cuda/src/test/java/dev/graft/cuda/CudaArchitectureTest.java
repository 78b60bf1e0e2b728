package dev.graft.cuda;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.GeneralCodingRules;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The CUDA engine's place in the house. */
class CudaArchitectureTest {
    private static final JavaClasses CLASSES =
            new ClassFileImporter(List.of(new ImportOption.DoNotIncludeTests())).importPackages("dev.graft.cuda");

    @Test
    void onlyTheBindingCallsNativeCode() {
        noClasses()
                .that()
                .resideOutsideOfPackage("..natives..")
                .should()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.lang.foreign.Linker")
                .orShould()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.lang.foreign.SymbolLookup")
                .check(CLASSES);
    }

    @Test
    void oneClassKnowsJcuda() {
        noClasses()
                .that()
                .haveNameNotMatching("dev\\.graft\\.cuda\\.driver\\.Jcuda(\\$.*)?")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("jcuda..")
                .check(CLASSES);
    }

    @Test
    void theEngineKnowsTheContractAndNothingAbove() {
        classes()
                .should()
                .onlyDependOnClassesThat(resideInAnyPackage(
                                "dev.graft.cuda..", "dev.graft.engine..", "dev.graft.tensor..", "dev.graft.common..")
                        .or(resideOutsideOfPackage("dev.graft..")))
                .check(CLASSES);
    }

    @Test
    void nothingIsCyclic() {
        slices().matching("dev.graft.cuda.(*)..").should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void librariesLogAndNeverPrint() {
        GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CLASSES);
    }
}
