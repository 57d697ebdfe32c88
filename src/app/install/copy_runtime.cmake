# Runs when the tree is installed, with the variables programs, mpirun, ompi_info and start.

set(prefix "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")

# The C library's family and the kernel's own belong to the machine, and so do a GPU's libraries.
set(of_the_machine
    "^ld-linux" "^lib(c|m|dl|pthread|rt|resolv|util|nsl|anl|mvec)\\.so"
    "^lib(cuda|cudart|cublas|cublasLt|cudnn.*|nccl|cupti|nvrtc.*|nvJitLink|nvidia-ml)\\.so")

# Plugins for networks and launchers that need a site's own libraries, and of OpenSHMEM and MPI's files,
# which layerledger does not use. Messages travel through shared memory and TCP.
set(left_out
    "ofi|openib|psm|ucx|usnic|portals|flux|jsm|gridengine|monitoring|io_|fbtl|fcoll|fs_|sharedfp|memheap|scoll|spml|sshmem|atomic_|compress_|vprotocol|dbg_msgq")

function(open_mpi_folder name result)
    execute_process(COMMAND ${ompi_info} --parsable --path ${name}
                    OUTPUT_VARIABLE line RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(failed)
        message(FATAL_ERROR "cannot learn Open MPI's ${name} (${ompi_info} failed) install Open MPI "
                            "with its ompi_info")
    endif()
    string(REGEX REPLACE "^path:${name}:" "" line "${line}")
    set(${result} "${line}" PARENT_SCOPE)
endfunction()

if(NOT ompi_info)
    message(FATAL_ERROR "cannot make a tree that runs elsewhere (no ompi_info beside ${mpirun}) "
                        "install Open MPI with its programs")
endif()
open_mpi_folder(pkglibdir plugin_folder)
open_mpi_folder(pkgdatadir help_folder)
open_mpi_folder(sysconfdir settings_folder)
open_mpi_folder(bindir program_folder)

file(GLOB plugins ${plugin_folder}/mca_*.so)
list(FILTER plugins EXCLUDE REGEX "mca_.*(${left_out})")

file(GET_RUNTIME_DEPENDENCIES
    EXECUTABLES ${programs} ${program_folder}/orterun ${program_folder}/orted
    MODULES ${plugins}
    RESOLVED_DEPENDENCIES_VAR libraries
    UNRESOLVED_DEPENDENCIES_VAR missing
    PRE_EXCLUDE_REGEXES ${of_the_machine})
if(missing)
    message(FATAL_ERROR "libraries are missing (${missing}) install them and install again")
endif()
foreach(library IN LISTS libraries)
    file(INSTALL ${library} DESTINATION ${prefix}/lib FOLLOW_SYMLINK_CHAIN)
endforeach()
file(INSTALL ${plugins} DESTINATION ${prefix}/lib/openmpi)

# PMIx, through which mpirun and its ranks meet, has plugins too; those of another version would be
# looked at in its usual place.
set(pmix ${libraries})
list(FILTER pmix INCLUDE REGEX "/libpmix\\.so")
if(pmix)
    list(GET pmix 0 pmix)
    file(REAL_PATH ${pmix} pmix)
    get_filename_component(folder ${pmix} DIRECTORY)
    file(GLOB plugins ${folder}/pmix/pmix_mca_*.so ${folder}/pmix2/lib/pmix/pmix_mca_*.so)
    file(INSTALL ${plugins} DESTINATION ${prefix}/lib/pmix)
endif()
file(INSTALL ${help_folder} DESTINATION ${prefix}/share FILES_MATCHING PATTERN *.txt
     PATTERN amca-param-sets EXCLUDE)
file(INSTALL ${settings_folder} DESTINATION ${prefix}/etc)

foreach(pair "orterun;mpirun" "orted;orted")
    list(GET pair 0 program)
    list(GET pair 1 name)
    file(REAL_PATH ${program_folder}/${program} program)
    file(INSTALL ${program} DESTINATION ${prefix}/libexec/layerledger RENAME ${name}
         USE_SOURCE_PERMISSIONS)
    file(INSTALL ${start} DESTINATION ${prefix}/bin RENAME ${name} USE_SOURCE_PERMISSIONS)
endforeach()
