package dev.graft.cpu;

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

/** The CPU engine's place in the house. */
class CpuArchitectureTest {
    private static final JavaClasses CLASSES =
            new ClassFileImporter(List.of(new ImportOption.DoNotIncludeTests())).importPackages("dev.graft.cpu");

    @Test
    void onlyTheBindingCallsNativeCode() {
        noClasses()
                .that()
                .resideOutsideOfPackage("..onednn..")
                .should()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.lang.foreign.Linker")
                .orShould()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.lang.foreign.SymbolLookup")
                .check(CLASSES);
    }

    @Test
    void theEngineKnowsTheContractAndNothingAbove() {
        classes()
                .should()
                .onlyDependOnClassesThat(resideInAnyPackage(
                                "dev.graft.cpu..", "dev.graft.engine..", "dev.graft.tensor..", "dev.graft.common..")
                        .or(resideOutsideOfPackage("dev.graft..")))
                .check(CLASSES);
    }

    @Test
    void nothingIsCyclic() {
        slices().matching("dev.graft.cpu.(*)..").should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void librariesLogAndNeverPrint() {
        GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CLASSES);
    }
}
